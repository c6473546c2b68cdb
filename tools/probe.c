/*
 * What this machine's io_uring can do. A tool, and no day's lesson.
 *
 * Asks the kernel: which features and set-up flags it has, which operations it knows, which limits
 * hold; and prints for each day whether it can run here and, if not, what is missing. A feature is
 * found by trying it, because version numbers lie where distributions backport features.
 *
 * Needs: nothing; it's there to tell you what is missing.
 * Run:   make probe && ./day01/probe
 *        ./day01/probe --days
 */
#include <errno.h>
#include <error.h>
#include <liburing.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/names.h"
#include "common/options.h"
#include "common/ring.h"

#define ENTRIES 8
#define DAYS	9

struct bit {
	unsigned mask;
	const char *name;
	unsigned companions; /* a set-up flag: others it is only accepted with */
};

/* Numbers where liburing 2.3 has no name, because later kernels have more. */
static const struct bit features[] = {
	{IORING_FEAT_SINGLE_MMAP, "SINGLE_MMAP"},
	{IORING_FEAT_NODROP, "NODROP"},
	{IORING_FEAT_SUBMIT_STABLE, "SUBMIT_STABLE"},
	{IORING_FEAT_RW_CUR_POS, "RW_CUR_POS"},
	{IORING_FEAT_CUR_PERSONALITY, "CUR_PERSONALITY"},
	{IORING_FEAT_FAST_POLL, "FAST_POLL"},
	{IORING_FEAT_POLL_32BITS, "POLL_32BITS"},
	{IORING_FEAT_SQPOLL_NONFIXED, "SQPOLL_NONFIXED"},
	{IORING_FEAT_EXT_ARG, "EXT_ARG"},
	{IORING_FEAT_NATIVE_WORKERS, "NATIVE_WORKERS"},
	{IORING_FEAT_RSRC_TAGS, "RSRC_TAGS"},
	{IORING_FEAT_CQE_SKIP, "CQE_SKIP"},
	{IORING_FEAT_LINKED_FILE, "LINKED_FILE"},
	{1U << 13, "REG_REG_RING"},
	{1U << 14, "RECVSEND_BUNDLE"},
	{1U << 15, "MIN_TIMEOUT"},
	{1U << 16, "RW_ATTR"},
	{1U << 17, "NO_IOWAIT"},
};

/* Not tried: the two flags that place a ring in memory which the program has to provide. */
static const struct bit setup_flags[] = {
	{IORING_SETUP_IOPOLL, "IOPOLL"},
	{IORING_SETUP_SQPOLL, "SQPOLL"},
	{IORING_SETUP_SQ_AFF, "SQ_AFF", IORING_SETUP_SQPOLL},
	{IORING_SETUP_CQSIZE, "CQSIZE"},
	{IORING_SETUP_CLAMP, "CLAMP"},
	{IORING_SETUP_ATTACH_WQ, "ATTACH_WQ"},
	{IORING_SETUP_R_DISABLED, "R_DISABLED"},
	{IORING_SETUP_SUBMIT_ALL, "SUBMIT_ALL"},
	{IORING_SETUP_COOP_TASKRUN, "COOP_TASKRUN"},
	{IORING_SETUP_TASKRUN_FLAG, "TASKRUN_FLAG", IORING_SETUP_COOP_TASKRUN},
	{IORING_SETUP_SQE128, "SQE128"},
	{IORING_SETUP_CQE32, "CQE32"},
	{IORING_SETUP_SINGLE_ISSUER, "SINGLE_ISSUER"},
	{IORING_SETUP_DEFER_TASKRUN, "DEFER_TASKRUN", IORING_SETUP_SINGLE_ISSUER},
	{1U << 16, "NO_SQARRAY"},
	{1U << 17, "HYBRID_IOPOLL", IORING_SETUP_IOPOLL},
	{1U << 18, "CQE_MIXED"},
};

static void print_features(const struct io_uring *ring)
{
	unsigned unknown = ring->features;
	size_t i;

	printf("\nfeatures:\n");
	for (i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		printf("  %-16s %s\n", features[i].name,
		       ring->features & features[i].mask ? "yes" : "no");
		unknown &= ~features[i].mask;
	}
	if (unknown)
		printf("  unknown to this program: 0x%x\n", unknown);
}

static int try_setup_flag(const struct bit *flag, const struct io_uring *existing)
{
	struct io_uring_params params = {
		.flags = flag->mask | flag->companions,
		.cq_entries = 2 * ENTRIES,  /* read with CQSIZE only */
		.wq_fd = existing->ring_fd, /* read with ATTACH_WQ only */
	};
	int fd = io_uring_setup(ENTRIES, &params);

	if (fd >= 0)
		close(fd);
	return fd;
}

static void print_setup_flags(const struct io_uring *ring)
{
	int result;
	size_t i;

	printf("\nset-up flags:\n");
	for (i = 0; i < sizeof(setup_flags) / sizeof(setup_flags[0]); i++) {
		result = try_setup_flag(&setup_flags[i], ring);
		printf("  %-16s %s\n", setup_flags[i].name,
		       result >= 0	   ? "yes"
		       : result == -EINVAL ? "no"
					   : strerror(-result));
	}
}

static void print_operations(struct io_uring *ring)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
	unsigned opcode;

	/* With its number, which is all that /proc/PID/fdinfo gives of a request. */
	printf("\noperations:\n");
	if (!probe) {
		printf("  this kernel cannot be asked (Linux 5.6 can)\n");
		return;
	}
	for (opcode = 0; opcode < OPERATION_NAMES; opcode++)
		printf("  %-16s %-3s %3u\n", operation_name(opcode),
		       io_uring_opcode_supported(probe, (int)opcode) ? "yes" : "no", opcode);
	for (; opcode <= probe->last_op; opcode++)
		printf("  %-16s %-3s %3u\n", "?",
		       io_uring_opcode_supported(probe, (int)opcode) ? "yes" : "no", opcode);
	io_uring_free_probe(probe);
}

static void print_limit(const char *name, int resource, const char *unit, rlim_t divisor)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) < 0)
		error(EXIT_FAILURE, errno, "getrlimit");
	printf("  %s: ", name);
	if (limit.rlim_cur == RLIM_INFINITY)
		printf("unlimited\n");
	else
		printf("%llu %s\n", (unsigned long long)(limit.rlim_cur / divisor), unit);
}

static void print_limits(void)
{
	int disabled = ring_disabled_setting();

	printf("\nlimits:\n");
	print_limit("open files (ulimit -n)", RLIMIT_NOFILE, "descriptors", 1);
	print_limit("locked memory (ulimit -l)", RLIMIT_MEMLOCK, "KiB", 1024);
	if (disabled < 0)
		printf("  kernel.io_uring_disabled: not a setting of this kernel (Linux 6.6 has it)\n");
	else
		printf("  kernel.io_uring_disabled: %d\n", disabled);
}

/* Submits the one request that is prepared. Returns its result, or why that failed. */
static int result_of_one(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int result;

	result = io_uring_submit_and_wait(ring, 1);
	if (result < 0)
		return result;
	/* Not reached by the tests: these requests complete while they are submitted. */
	result = io_uring_wait_cqe(ring, &cqe);
	if (result < 0)
		return result;
	result = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return result;
}

static int try_ring_descriptor(struct io_uring *ring)
{
	int result = io_uring_register_ring_fd(ring); /* the count of descriptors registered: 1 */

	return result < 0 ? result : io_uring_unregister_ring_fd(ring);
}

static int try_sparse_table(struct io_uring *ring)
{
	int result = io_uring_register_files_sparse(ring, ENTRIES);

	return result < 0 ? result : io_uring_unregister_files(ring);
}

/*
 * Multishot requests on something that isn't a socket: a kernel that knows them gets as far as
 * ENOTSOCK, an older one rejects the request itself, with EINVAL.
 */
static int try_multishot_accept(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	int result;

	io_uring_prep_multishot_accept(sqe, ring->ring_fd, NULL, NULL, 0);
	result = result_of_one(ring);
	return result == -ENOTSOCK ? 0 : result;
}

/* Much larger than the ring for everything else, so it may be more than ulimit -l allows. */
static int try_servers_ring(struct io_uring *unused)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER |
			 IORING_SETUP_DEFER_TASKRUN,
		.cq_entries = 4096,
	};
	struct io_uring ring;
	int result = io_uring_queue_init_params(512, &ring, &params);

	(void)unused;
	if (result == 0)
		io_uring_queue_exit(&ring);
	return result;
}

static int try_multishot_receive(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	int result;

	io_uring_prep_recv_multishot(sqe, ring->ring_fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	result = result_of_one(ring);
	return result == -ENOTSOCK ? 0 : result;
}

static int try_buffer_ring(struct io_uring *ring)
{
	struct io_uring_buf_reg registration = {.ring_entries = ENTRIES};
	size_t size = ENTRIES * sizeof(struct io_uring_buf);
	void *memory;
	int result;

	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return -errno;
	registration.ring_addr = (unsigned long)memory;
	result = io_uring_register_buf_ring(ring, &registration, 0);
	if (result == 0)
		result = io_uring_unregister_buf_ring(ring, 0);
	munmap(memory, size);
	return result;
}

static const struct {
	int (*try)(struct io_uring *); /* -errno where it fails */
	int first_day;		       /* this day and all later ones need it */
	const char *name;
} needs[] = {
	{try_ring_descriptor, 2, "registering the ring's own descriptor (Linux 5.18)"},
	{try_sparse_table, 2, "a sparse table of direct descriptors (Linux 5.19)"},
	{try_multishot_accept, 3, "multishot accept (Linux 5.19)"},
	{try_servers_ring, 4, "a ring of 512 and 4096 entries with DEFER_TASKRUN (Linux 6.1)"},
	{try_buffer_ring, 5, "buffer rings (Linux 5.19)"},
	{try_multishot_receive, 5, "multishot receive (Linux 6.0)"},
};
#define NEEDS (sizeof(needs) / sizeof(needs[0]))

/* Returns whether every day can run. `ring_error` is why there is no ring at all, or 0. */
static bool print_verdict(struct io_uring *ring, int ring_error)
{
	int results[NEEDS] = {0};
	bool all_days = true;
	size_t i;
	int day;

	for (i = 0; !ring_error && i < NEEDS; i++)
		results[i] = needs[i].try(ring);

	for (day = 1; day <= DAYS; day++) {
		bool runs = ring_error == 0;

		printf("day %d: ", day);
		if (ring_error)
			printf("cannot run: no ring: %s", strerror(ring_error));
		for (i = 0; i < NEEDS; i++) {
			if (results[i] >= 0 || needs[i].first_day > day)
				continue;
			printf("%s %s: %s", runs ? "cannot run:" : ",", needs[i].name,
			       strerror(-results[i]));
			runs = false;
		}
		printf("%s\n", runs ? "can run here" : "");
		all_days = all_days && runs;
	}
	for (i = 0; i < NEEDS; i++)
		if (results[i] == -ENOMEM)
			error(0, 0, "%s: %s (%s)", needs[i].name, strerror(ENOMEM),
			      ring_setup_advice(ENOMEM));
	return all_days;
}

int main(int argc, char **argv)
{
	bool days_only = false;
	const struct option_entry options[] = {
		{"days", "", "print only the verdict on each day", .flag = &days_only},
		{0},
	};
	struct io_uring_params params = {0};
	struct utsname kernel;
	struct io_uring ring;
	bool all_days;
	int result;

	options_parse(
		argc, argv,
		"[--days]\n"
		"Shows what this machine's io_uring can do, and which of the days can run here.\n"
		"The exit status is 1 if some day can't.",
		options);
	option_no_more(argc, argv);

	result = io_uring_queue_init_params(ENTRIES, &ring, &params);
	if (!days_only) {
		uname(&kernel);
		printf("kernel:   %s %s\nliburing: %s\n", kernel.sysname, kernel.release,
		       LIBURING_VERSION);
		if (result == 0) {
			print_features(&ring);
			print_setup_flags(&ring);
			print_operations(&ring);
		}
		print_limits();
		putchar('\n');
	}
	all_days = print_verdict(&ring, -result);
	if (result < 0)
		error(EXIT_FAILURE, 0, "opening a ring: %s (%s)", strerror(-result),
		      ring_setup_advice(-result));
	io_uring_queue_exit(&ring);
	return all_days ? EXIT_SUCCESS : EXIT_FAILURE;
}
