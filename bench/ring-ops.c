/*
 * What days 1 and 2 claim, measured: how many operations a second one thread gets through a ring
 *
 *   - with one SQE a submit, with 32, and with a kernel thread that submits (SQPOLL);
 *   - on a descriptor, on a slot of the registered table, and with the ring registered as well.
 *
 * The operations do next to nothing (a NOP, a read of 64 bytes from /dev/zero) and complete while
 * they're submitted, so what you measure is the way into the kernel and back.
 *
 * Run it: make bench-programs && ./bench/ring-ops
 */
#include "common/options.h"
#include "common/ring.h"

#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BATCH		   32
#define ENTRIES		   128
#define READ_BYTES	   64
#define NO_CPU		   (-1)
#define SQ_THREAD_IDLE_MS  1000
#define DEFAULT_MS	   500
#define NANOSECONDS	   1e9
#define OPERATIONS_A_CHECK 4096 /* between two looks at the clock */

/* One way of using a ring. */
struct variant {
	const char *name; /* for programs */
	const char *text; /* for people */
	unsigned batch;	  /* SQEs a submit */
	bool sqpoll;
	bool reads; /* or NOPs */
	bool uses_slot;
	bool registers_ring;
};

static const struct variant variants[] = {
	{.name = "nop_1", .text = "NOP, one a submit", .batch = 1},
	{.name = "nop_32", .text = "NOP, 32 a submit", .batch = BATCH},
	{.name = "nop_sqpoll", .text = "NOP, 32 a submit, SQPOLL", .batch = BATCH, .sqpoll = true},
	{.name = "read_descriptor", .text = "read, descriptor", .batch = 1, .reads = true},
	{
		.name = "read_slot",
		.text = "read, slot",
		.batch = 1,
		.reads = true,
		.uses_slot = true,
	},
	{
		.name = "read_registered_ring",
		.text = "read, slot, registered ring",
		.batch = 1,
		.reads = true,
		.uses_slot = true,
		.registers_ring = true,
	},
};

static unsigned duration_ms = DEFAULT_MS;
static int sq_cpu = NO_CPU;
static bool print_values;
static int zero_fd;

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / NANOSECONDS;
}

static void open_variant(struct io_uring *ring, const struct variant *variant)
{
	struct io_uring_params params = {0};
	int result;

	if (variant->sqpoll) {
		params.flags = IORING_SETUP_SQPOLL;
		params.sq_thread_idle = SQ_THREAD_IDLE_MS;
		/* Otherwise the kernel thread runs where this one may, on one CPU if pinned. */
		if (sq_cpu != NO_CPU) {
			params.flags |= IORING_SETUP_SQ_AFF;
			params.sq_thread_cpu = (unsigned)sq_cpu;
		}
	}
	ring_open(ring, ENTRIES, &params);
	if (variant->uses_slot) {
		result = io_uring_register_files(ring, &zero_fd, 1);
		ring_check_register(result, "io_uring_register_files",
				    "registered files, which Linux 5.1 has");
	}
	if (variant->registers_ring) {
		result = io_uring_register_ring_fd(ring);
		ring_check_register(result < 0 ? result : 0, "io_uring_register_ring_fd",
				    "registered rings, which Linux 5.18 has");
	}
}

static void prepare(struct io_uring *ring, const struct variant *variant)
{
	static char buffer[READ_BYTES];
	struct io_uring_sqe *sqe;

	/* With SQPOLL you can reap an operation before its SQE has been given back. */
	do {
		sqe = io_uring_get_sqe(ring);
	} while (!sqe);
	if (!variant->reads) {
		io_uring_prep_nop(sqe);
		return;
	}
	io_uring_prep_read(sqe, variant->uses_slot ? 0 : zero_fd, buffer, READ_BYTES, 0);
	if (variant->uses_slot)
		sqe->flags |= IOSQE_FIXED_FILE;
}

static void submit(struct io_uring *ring, const struct variant *variant)
{
	int result = variant->sqpoll ? io_uring_submit(ring)
				     : io_uring_submit_and_wait(ring, variant->batch);

	if (result < 0)
		error(EXIT_FAILURE, -result, "submitting");
}

/* Number of operations reaped. */
static unsigned reap(struct io_uring *ring, const struct variant *variant)
{
	const int expected = variant->reads ? READ_BYTES : 0;
	struct io_uring_cqe *cqe;
	unsigned count = 0;
	unsigned head;

	io_uring_for_each_cqe (ring, head, cqe) {
		if (cqe->res < 0)
			error(EXIT_FAILURE, -cqe->res, "%s", variant->text);
		if (cqe->res != expected)
			error(EXIT_FAILURE, 0, "%s: %d bytes", variant->text, cqe->res);
		count++;
	}
	io_uring_cq_advance(ring, count);
	return count;
}

static double operations_per_second(const struct variant *variant)
{
	/* The kernel thread has work while this one prepares more. */
	const unsigned left_in_flight = variant->sqpoll ? ENTRIES - BATCH : 0;
	struct io_uring ring;
	unsigned in_flight = 0;
	double operations = 0;
	double start, now;

	open_variant(&ring, variant);
	start = now_s();
	do {
		for (unsigned i = 0; i < OPERATIONS_A_CHECK; i += variant->batch) {
			for (unsigned j = 0; j < variant->batch; j++)
				prepare(&ring, variant);
			submit(&ring, variant);
			in_flight += variant->batch;
			while (in_flight > left_in_flight)
				in_flight -= reap(&ring, variant);
		}
		operations += OPERATIONS_A_CHECK;
		now = now_s();
	} while (now - start < duration_ms / 1000.0);
	while (in_flight > 0)
		in_flight -= reap(&ring, variant);
	io_uring_queue_exit(&ring);
	return operations / (now - start);
}

int main(int argc, char **argv)
{
	const char *sq_cpu_text = NULL;
	const struct option_entry options[] = {
		{"duration", "MS", "milliseconds for each way", .number = &duration_ms, .least = 10,
		 .most = 60000},
		{"sq-cpu", "N", "the CPU of SQPOLL's kernel thread, if not this program's own",
		 .text = &sq_cpu_text},
		{"values", .help = "print name=value lines, for programs", .flag = &print_values},
		{0},
	};

	options_parse(
		argc, argv,
		"[OPTIONS]\n"
		"Measures how many operations a second go through a ring, used in several ways.",
		options);
	option_no_more(argc, argv);
	if (sq_cpu_text)
		sq_cpu = (int)option_number("--sq-cpu", sq_cpu_text, 0, 65535);

	zero_fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	if (zero_fd < 0)
		error(EXIT_FAILURE, errno, "/dev/zero");

	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
		double rate = operations_per_second(&variants[i]);

		if (print_values)
			printf("%s=%.0f\n", variants[i].name, rate);
		else
			printf("%-28s %6.2f million a second, %4.0f ns each\n", variants[i].text,
			       rate / 1e6, NANOSECONDS / rate);
		fflush(stdout);
	}
	return EXIT_SUCCESS;
}
