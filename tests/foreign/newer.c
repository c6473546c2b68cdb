/*
 * For the tests of ringtrace: rings and operations of newer kernels and liburings, one at a time.
 * The numbers are written out, since older headers lack them.
 *
 * Run: build/tests/foreign/newer rewind|sqe-mixed|cqe-mixed|no-mmap|resize|buffers-inc|vectorized|
 *                                immediate|bundle|bundle-inc|bundles|bundle-twice|send-bundle|
 *                                message-flags|enter2|later-calls
 * The exit status is 77 where the kernel or liburing is too old, with the reason on standard
 * output.
 */
#include <errno.h>
#include <error.h>
#include <liburing.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#ifdef IO_URING_VERSION_MAJOR
#define LIBURING (100 * IO_URING_VERSION_MAJOR + IO_URING_VERSION_MINOR)
#else
#define LIBURING 203
#endif

#define SKIPPED 77

enum number {
	NOP128 = 63,

	DEFER_TASKRUN = 1 << 12 | 1 << 13, /* with SINGLE_ISSUER */
	NO_MMAP = 1 << 14,
	NO_SQARRAY = 1 << 16,
	CQE_MIXED = 1 << 18,
	SQE_MIXED = 1 << 19,
	SQ_REWIND = 1 << 20,

	BUFFERS_INC = 2,
	NOP_CQE32 = 1 << 5,
	IMMEDIATE_ARG = 1 << 7,
	BUNDLE = 1 << 4,
	VECTORIZED = 1 << 5,
	FLAGS_PASS = 1 << 1,
	CQE_BUFFER_MORE = 1 << 4,
	CQE_SKIP = 1 << 5,
	CQE_BIG = 1 << 15,
};

static struct io_uring ring;
static int ends[2];
static struct io_uring_buf_ring *buffers;
static char memory[1024]; /* of the buffers */

__attribute__((format(printf, 1, 2), noreturn)) static void too_old(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	exit(SKIPPED);
}

static void open_ring(unsigned flags, const char *what)
{
	int result = io_uring_queue_init(4, &ring, flags);

	if (result == -EINVAL)
		too_old("needs %s", what);
	if (result < 0)
		error(EXIT_FAILURE, -result, "io_uring_queue_init");
}

static void open_sockets(void)
{
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
		error(EXIT_FAILURE, errno, "socketpair");
}

static struct io_uring_sqe *prepare_nop(uint64_t user_data)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_nop(sqe);
	sqe->user_data = user_data;
	return sqe;
}

static void show(const struct io_uring_cqe *cqe)
{
	printf("%llu: %d, flags %x\n", (unsigned long long)cqe->user_data, cqe->res, cqe->flags);
}

/* Waits for CQEs, and shows and returns the last one's result; they are as large as those of any
 * ring. */
static int complete(unsigned count)
{
	struct io_uring_cqe *cqe;
	int result = 0;

	io_uring_submit(&ring);
	for (; count > 0; count--) {
		if (io_uring_wait_cqe(&ring, &cqe) < 0)
			error(EXIT_FAILURE, 0, "io_uring_wait_cqe");
		show(cqe);
		result = cqe->res;
		io_uring_cqe_seen(&ring, cqe);
	}
	return result;
}

/* As many rounds as to go around the SQ. */
static void rewind_sq(void)
{
#if LIBURING < 215
	too_old("needs liburing 2.15, for IORING_SETUP_SQ_REWIND");
#else
	uint64_t i;

	open_ring(SQ_REWIND | NO_SQARRAY, "IORING_SETUP_SQ_REWIND of Linux 7.0");
	for (i = 1; i <= 9; i += 3) {
		prepare_nop(i);
		prepare_nop(i + 1);
		prepare_nop(i + 2);
		complete(3);
	}
	prepare_nop(100); /* and never submitted */
#endif
}

/* A large SQE takes the place of two. */
static void mix_sqes(void)
{
	struct io_uring_sqe *sqe;

	open_ring(SQE_MIXED, "IORING_SETUP_SQE_MIXED of Linux 6.19");
	prepare_nop(1);
	complete(1);
	/* It may not go around the end of the SQ. */
	prepare_nop(2);
	sqe = prepare_nop(3);
	sqe->opcode = NOP128;
	memset(io_uring_get_sqe(&ring), 0x5a, sizeof(*sqe));
	complete(2);
	prepare_nop(4);
	complete(1);
}

/* Consumes all CQEs as a program has to where a large one takes the place of two. */
static void consume_mixed(void)
{
	unsigned head = *ring.cq.khead, tail = io_uring_smp_load_acquire(ring.cq.ktail);
	const struct io_uring_cqe *cqe;

	while (head != tail) {
		cqe = &ring.cq.cqes[head & (ring.cq.ring_entries - 1)];
		if (!(cqe->flags & CQE_SKIP))
			show(cqe);
		head += cqe->flags & CQE_BIG ? 2 : 1;
	}
	io_uring_cq_advance(&ring, tail - *ring.cq.khead);
}

/* The 8th CQE is large, and would go around the end of the CQ: one of no meaning fills that. */
static void mix_cqes(void)
{
	uint64_t i;

	open_ring(CQE_MIXED, "IORING_SETUP_CQE_MIXED of Linux 6.18");
	for (i = 1; i <= 10; i++) {
		prepare_nop(i)->rw_flags = i == 8 || i == 10 ? NOP_CQE32 : 0;
		io_uring_submit(&ring);
		if (i == 7 || i == 10)
			consume_mixed();
	}
}

/* The program's own memory holds the ring, which is left open. */
static void open_without_mmap(void)
{
#if LIBURING < 209
	too_old("needs liburing 2.9, for io_uring_queue_init_mem()");
#else
	struct io_uring_params params = {.flags = NO_MMAP};
	void *own = mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int result = io_uring_queue_init_mem(4, &ring, &params, own, 2 << 20);

	if (result == -EINVAL)
		too_old("needs IORING_SETUP_NO_MMAP of Linux 6.5");
	if (result < 0)
		error(EXIT_FAILURE, -result, "io_uring_queue_init_mem");
	prepare_nop(1);
	complete(1);
	prepare_nop(2); /* and never submitted */
	exit(EXIT_SUCCESS);
#endif
}

/* What the CQ holds meanwhile goes with it. */
static void resize(void)
{
#if LIBURING < 209
	too_old("needs liburing 2.9, for io_uring_resize_rings()");
#else
	struct io_uring_params params = {.sq_entries = 16, .cq_entries = 64};
	uint64_t i;
	int result;

	open_ring(DEFER_TASKRUN, "IORING_SETUP_DEFER_TASKRUN of Linux 6.1");
	for (i = 1; i <= 3; i++)
		prepare_nop(i);
	complete(2);
	result = io_uring_resize_rings(&ring, &params);
	if (result == -EINVAL)
		too_old("needs IORING_REGISTER_RESIZE_RINGS of Linux 6.13");
	printf("resized: %d\n", result);
	for (i = 4; i <= 13; i++)
		prepare_nop(i);
	complete(11);
#endif
}

/* A buffer ring of `count` buffers of `size` bytes in group 5. */
static void give_buffers(unsigned count, unsigned size, unsigned flags, const char *what)
{
	struct io_uring_buf_reg reg = {.ring_entries = 512, .bgid = 5};
	unsigned short given = (unsigned short)flags;
	unsigned i;
	int result;

	buffers = mmap(NULL, 1 << 14, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reg.ring_addr = (unsigned long)buffers;
	/* reg.flags, or its padding in older headers, whose function passes no flags on */
	memcpy((char *)&reg.bgid + sizeof(reg.bgid), &given, sizeof(given));
	result = io_uring_register_buf_ring(&ring, &reg, 0);
	if (result == -EINVAL)
		too_old("needs %s", what);
	if (result < 0)
		error(EXIT_FAILURE, -result, "io_uring_register_buf_ring");
	for (i = 0; i < count; i++)
		io_uring_buf_ring_add(buffers, memory + (size_t)i * size, size, (unsigned short)i,
				      511, (int)i);
	io_uring_buf_ring_advance(buffers, (int)count);
}

static void prepare_receive(unsigned length, unsigned ioprio)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_recv(sqe, ends[1], NULL, length, 0);
	sqe->ioprio = (unsigned short)ioprio;
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = 5;
}

static void send_bytes(unsigned count)
{
	static char bytes[64];

	if (write(ends[0], bytes, count) != count)
		error(EXIT_FAILURE, errno, "write");
}

/* One buffer is used piece by piece. */
static void use_a_buffer_in_pieces(void)
{
	open_ring(0, "io_uring");
	open_sockets();
	give_buffers(2, 16, BUFFERS_INC, "IOU_PBUF_RING_INC of Linux 6.12");
	send_bytes(6);
	prepare_receive(0, 0);
	complete(1);
	send_bytes(10);
	prepare_receive(0, 0);
	complete(1);
}

/* One receive fills several buffers. */
static void receive_a_bundle_of(unsigned size, unsigned flags, const char *what)
{
	open_ring(0, "io_uring");
	open_sockets();
	give_buffers(8, size, flags, what);
	send_bytes(20);
	prepare_receive(0, BUNDLE);
	if (complete(1) == -EINVAL)
		too_old("needs IORING_RECVSEND_BUNDLE of Linux 6.10");
}

static void receive_a_bundle(void)
{
	receive_a_bundle_of(8, 0, "buffer rings of Linux 5.19");
}

static void receive_a_bundle_in_pieces(void)
{
	receive_a_bundle_of(32, BUFFERS_INC, "IOU_PBUF_RING_INC of Linux 6.12");
}

static void give_one_back(unsigned number, unsigned size)
{
	io_uring_buf_ring_add(buffers, memory + (size_t)number * size, size, (unsigned short)number,
			      511, 0);
	io_uring_buf_ring_advance(buffers, 1);
}

/*
 * One receive fills many bundles, of buffers of several sizes; what each has filled is given back
 * last one first. Prints which those are, as the program has to find out.
 */
static void receive_bundles(void)
{
	static const unsigned sizes[8] = {8, 16, 8, 24, 8, 8, 16, 40};
	unsigned order[1024], head = 0, tail = 0, round = 0, awaited = 0, first, left;
	struct io_uring_cqe *cqe;

	open_ring(0, "io_uring");
	open_sockets();
	give_buffers(0, 0, 0, "buffer rings of Linux 5.19");
	for (; tail < 8; tail++) {
		order[tail] = 7 - tail;
		give_one_back(order[tail], sizes[order[tail]]);
	}
	prepare_receive(0, BUNDLE | IORING_RECV_MULTISHOT);
	while (round < 30) {
		if (!awaited)
			send_bytes(awaited = ++round * 2);
		io_uring_submit_and_wait(&ring, 1);
		if (io_uring_peek_cqe(&ring, &cqe) < 0 || cqe->res <= 0)
			too_old("needs IORING_RECVSEND_BUNDLE of Linux 6.10");
		awaited -= (unsigned)cqe->res;
		first = head;
		for (left = (unsigned)cqe->res; left > 0; head++)
			left -= left < sizes[order[head]] ? left : sizes[order[head]];
		printf("%d:", cqe->res);
		for (left = first; left < head; left++)
			printf(" %u", order[left]);
		printf("\n");
		io_uring_cqe_seen(&ring, cqe);
		for (left = head; left > first; tail++) {
			order[tail] = order[--left];
			give_one_back(order[tail], sizes[order[tail]]);
		}
	}
}

static void give_twice_of_a_bundle(void)
{
	receive_a_bundle();
	give_one_back(0, 8);
	give_one_back(1, 8);
	give_one_back(1, 8);
	prepare_nop(2);
	complete(1);
}

/* More buffers than the kernel takes at once: a request that is no multishot, with MORE. */
static void send_a_bundle(void)
{
	struct io_uring_sqe *sqe;

	open_ring(0, "io_uring");
	open_sockets();
	give_buffers(300, 1, 0, "buffer rings of Linux 5.19");
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_send(sqe, ends[0], NULL, 0, 0);
	sqe->ioprio = BUNDLE;
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = 5;
	sqe->user_data = 1;
	if (complete(1) == -EINVAL)
		too_old("needs IORING_RECVSEND_BUNDLE of Linux 6.10");
	complete(1);
}

static void send_vectors(void)
{
	static char text[] = "somemore";
	struct iovec vectors[] = {{text, 4}, {text + 4, 4}};
	struct io_uring_sqe *sqe;

	open_ring(0, "io_uring");
	open_sockets();
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_send(sqe, ends[0], vectors, 2, 0);
	sqe->ioprio = VECTORIZED;
	if (complete(1) != 8)
		too_old("needs IORING_SEND_VECTORIZED of Linux 6.17");
}

static void wait_without_timespec(void)
{
	struct io_uring_sqe *sqe;

	open_ring(0, "io_uring");
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_timeout(sqe, NULL, 0, IMMEDIATE_ARG);
	sqe->addr = 1500000;
	if (complete(1) == -EINVAL)
		too_old("needs IORING_TIMEOUT_IMMEDIATE_ARG of Linux 7.1");
}

/* The other ring has a CQE with flags that no request of it has. */
static void pass_flags(void)
{
	struct io_uring other;
	struct io_uring_cqe *cqe;
	struct io_uring_sqe *sqe;

	open_ring(0, "io_uring");
	if (io_uring_queue_init(4, &other, 0) < 0)
		error(EXIT_FAILURE, 0, "io_uring_queue_init");
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_msg_ring(sqe, other.ring_fd, 12, 0xabc, FLAGS_PASS);
	sqe->msg_ring_flags = FLAGS_PASS;
	sqe->file_index = IORING_CQE_F_MORE;
	if (complete(1) == -EINVAL)
		too_old("needs IORING_MSG_RING_FLAGS_PASS of Linux 6.3");
	if (io_uring_wait_cqe(&other, &cqe) < 0)
		error(EXIT_FAILURE, 0, "io_uring_wait_cqe");
	show(cqe);
	io_uring_cqe_seen(&other, cqe);
	io_uring_queue_exit(&other);
}

/* The system call with a time that it waits for at most. */
static void enter(void)
{
	struct __kernel_timespec time = {.tv_nsec = 1000000};
	struct io_uring_getevents_arg argument = {.ts = (uintptr_t)&time};
	unsigned flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;

	open_ring(0, "io_uring");
	prepare_nop(1);
	ring.sq.sqe_head = ring.sq.sqe_tail;
	*ring.sq.ktail = ring.sq.sqe_tail;
	printf("%d\n", io_uring_enter2((unsigned)ring.ring_fd, 1, 1, flags, (void *)&argument,
				       sizeof(argument)));
	printf("%d\n", io_uring_enter2((unsigned)ring.ring_fd, 0, 2, flags, (void *)&argument,
				       sizeof(argument)));
	io_uring_cq_advance(&ring, 1);
}

static void call_later_functions(void)
{
#if LIBURING < 215
	too_old("needs liburing 2.15");
#else
	struct io_uring from;
	struct io_uring_sqe sqe = {.opcode = IORING_OP_MSG_RING, .len = 12, .off = 0xabc};
	static char bytes[4096];
	struct iovec vector = {bytes, sizeof(bytes)};
	struct io_uring_cqe *cqe;
	uint16_t head = 99;

	open_ring(0, "io_uring");
	if (io_uring_queue_init(4, &from, 0) < 0 ||
	    io_uring_register_buffers(&from, &vector, 1) < 0)
		error(EXIT_FAILURE, 0, "a ring with a buffer");
	if (io_uring_clone_buffers(&ring, &from) < 0)
		too_old("needs IORING_REGISTER_CLONE_BUFFERS of Linux 6.12");
	printf("%d\n", io_uring_unregister_buffers(&ring));
	printf("%d\n", __io_uring_clone_buffers_offset(&ring, &from, 0, 0, 1, 0));
	give_buffers(2, 16, 0, "buffer rings of Linux 5.19");
	printf("%d\n", io_uring_buf_ring_head(&ring, 5, &head));
	printf("%d\n", head);
	sqe.fd = ring.ring_fd;
	printf("%d\n", io_uring_register_sync_msg(&sqe));
	if (io_uring_peek_cqe(&ring, &cqe) == 0)
		show(cqe);
	printf("%d\n", io_uring_register_query(NULL));
	io_uring_queue_exit(&from);
#endif
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} cases[] = {
		{"rewind", rewind_sq},
		{"sqe-mixed", mix_sqes},
		{"cqe-mixed", mix_cqes},
		{"no-mmap", open_without_mmap},
		{"resize", resize},
		{"buffers-inc", use_a_buffer_in_pieces},
		{"vectorized", send_vectors},
		{"immediate", wait_without_timespec},
		{"bundle", receive_a_bundle},
		{"bundle-inc", receive_a_bundle_in_pieces},
		{"bundles", receive_bundles},
		{"bundle-twice", give_twice_of_a_bundle},
		{"send-bundle", send_a_bundle},
		{"message-flags", pass_flags},
		{"enter2", enter},
		{"later-calls", call_later_functions},
	};
	size_t i;

	for (i = 0; argc > 1 && i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (strcmp(argv[1], cases[i].name) == 0) {
			cases[i].run();
			io_uring_queue_exit(&ring);
			return EXIT_SUCCESS;
		}
	}
	error(2, 0, "which one?");
}
