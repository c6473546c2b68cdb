/*
 * Day 2: descriptors that the kernel already holds.
 *
 * cat, written with direct descriptors only: files are opened straight into slots of a table that
 * is registered with the ring. They never become file descriptors of this process.
 *
 * Needs: Linux 5.19.
 * Run:   make day02 && ./day02/registered-files README.md
 *        ./day02/registered-files --show README.md LICENSE > /dev/null
 */
#include <dirent.h>
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <getopt.h>
#include <liburing.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/options.h"
#include "common/ring.h"

#define ENTRIES	     8 /* one request at a time is in flight */
#define SLOTS	     64
#define OUTPUT_SLOT  0
#define FILE_SLOT    42
#define BUFFER_BYTES (128 * 1024)

/*
 * Where the next read and the next write go. For files this program counts: the kernel would, too,
 * but a request that meets a full disk or a bad block halfway returns the count of what it did and
 * leaves the kernel's position where it was. Pipes and terminals have only the current position, as
 * in read(2).
 */
#define CURRENT_POSITION ((__u64)-1)
static __u64 input_position, output_position;

static char buffer[BUFFER_BYTES];
static bool show;

/* Submits the one request that was prepared, and returns its result: a count, 0 or -errno. */
static int result_of_one(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int result;

	do
		result = io_uring_submit_and_wait(ring, 1);
	while (ring_try_again(result));
	if (result < 0)
		error(EXIT_FAILURE, -result, "io_uring_submit_and_wait");

	do
		result = io_uring_wait_cqe(ring, &cqe);
	while (ring_try_again(result));
	if (result < 0)
		error(EXIT_FAILURE, -result, "io_uring_wait_cqe");

	result = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return result;
}

/* Of a descriptor that others, the shell for one, have used before; -1 where it cannot seek. */
static __u64 position_of(int fd)
{
	return (__u64)lseek(fd, 0, SEEK_CUR);
}

/* Whoever uses the descriptor next goes on from there. */
static void leave_position(int fd, __u64 position)
{
	if (position != CURRENT_POSITION)
		lseek(fd, (off_t)position, SEEK_SET);
}

static __u64 start_of(const char *path)
{
	struct stat status;

	if (stat(path, &status) == 0 && (S_ISREG(status.st_mode) || S_ISBLK(status.st_mode)))
		return 0;
	return CURRENT_POSITION;
}

static void advance(__u64 *position, int count)
{
	if (*position != CURRENT_POSITION)
		*position += (unsigned)count;
}

static int open_into_slot(struct io_uring *ring, const char *path)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_openat_direct(sqe, AT_FDCWD, path, O_RDONLY, 0, FILE_SLOT);
	return result_of_one(ring);
}

static int read_from_slot(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_read(sqe, FILE_SLOT, buffer, BUFFER_BYTES, input_position);
	sqe->flags |= IOSQE_FIXED_FILE; /* FILE_SLOT is a slot, not a descriptor */
	return result_of_one(ring);
}

/* A write may take less than it was given: what is left is written by the next one. */
static void write_to_slot(struct io_uring *ring, const char *data, unsigned length)
{
	struct io_uring_sqe *sqe;
	int written;

	while (length > 0) {
		sqe = io_uring_get_sqe(ring);
		io_uring_prep_write(sqe, OUTPUT_SLOT, data, length, output_position);
		sqe->flags |= IOSQE_FIXED_FILE;
		written = result_of_one(ring);
		if (written == -EINTR)
			continue;
		if (written < 0)
			error(EXIT_FAILURE, -written, "standard output: write");
		advance(&output_position, written);
		data += written;
		length -= (unsigned)written;
	}
}

static int close_slot(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	/* Not close(2): that would close the descriptor that happens to have this number. */
	io_uring_prep_close_direct(sqe, FILE_SLOT);
	return result_of_one(ring);
}

static int count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = -1; /* the directory's own descriptor is in the list, too */

	if (!directory)
		error(EXIT_FAILURE, errno, "/proc/self/fd");
	for (struct dirent *entry; (entry = readdir(directory));)
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count;
}

static void show_state(const char *when, const char *path)
{
	if (!show)
		return;
	fprintf(stderr, "%s: descriptors of this process: %d; slot %d: standard output", when,
		count_descriptors(), OUTPUT_SLOT);
	if (path)
		fprintf(stderr, "; slot %d: %s", FILE_SLOT, path);
	fputc('\n', stderr);
}

/* Reads nothing, from what has the slot's number but is not the slot. */
static void show_slot_without_flag(struct io_uring *ring)
{
	struct io_uring_sqe *sqe;
	int result;

	if (!show)
		return;
	sqe = io_uring_get_sqe(ring);
	io_uring_prep_read(sqe, FILE_SLOT, buffer, 0, CURRENT_POSITION);
	result = result_of_one(ring);
	fprintf(stderr, "%d without IOSQE_FIXED_FILE is a descriptor: %s\n", FILE_SLOT,
		result < 0 ? strerror(-result) : "this process has one of that number");
}

/* Returns whether all of the open file in FILE_SLOT has been written. */
static bool copy_slot(struct io_uring *ring, const char *path)
{
	int count;

	for (;;) {
		count = read_from_slot(ring);
		if (count == -EINTR)
			continue;
		if (count < 0)
			error(0, -count, "%s: read", path);
		if (count <= 0)
			return count == 0;
		advance(&input_position, count);
		write_to_slot(ring, buffer, (unsigned)count);
	}
}

static bool copy_file(struct io_uring *ring, const char *path)
{
	bool complete;
	int result;

	result = open_into_slot(ring, path);
	if (result < 0) {
		error(0, -result, "%s: open", path);
		return false;
	}
	input_position = start_of(path);
	show_state("open  ", path);
	show_slot_without_flag(ring);
	complete = copy_slot(ring, path);
	result = close_slot(ring);
	if (result < 0)
		error(EXIT_FAILURE, -result, "%s: close", path);
	show_state("closed", NULL);
	return complete;
}

static void put_into_slot(struct io_uring *ring, unsigned slot, int fd, const char *name)
{
	int result = io_uring_register_files_update(ring, slot, &fd, 1);

	if (result < 0)
		error(EXIT_FAILURE, -result, "%s: io_uring_register_files_update", name);
}

static void open_ring(struct io_uring *ring)
{
	struct io_uring_params params = {0};
	int result;

	ring_open(ring, ENTRIES, &params);

	/* From here on liburing names the ring to the kernel by its place in a table, too. */
	result = io_uring_register_ring_fd(ring);
	ring_check_register(result, "io_uring_register_ring_fd",
			    "registered ring descriptors, which Linux 5.18 has; day 2 needs them");
	result = io_uring_register_files_sparse(ring, SLOTS);
	ring_check_register(result, "io_uring_register_files_sparse",
			    "sparse tables, which Linux 5.19 has; day 2 needs them");
	put_into_slot(ring, OUTPUT_SLOT, STDOUT_FILENO, "standard output");
	output_position = position_of(STDOUT_FILENO);
}

static void print_help(void)
{
	printf("Usage: %s [--show] [FILE]...\n"
	       "Writes every FILE, or standard input where there is none, to standard output.\n\n"
	       "  --show   say on standard error which slots and descriptors are in use\n"
	       "  --help   this text\n",
	       program_invocation_name);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"show", no_argument, NULL, 's'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	struct io_uring ring;
	bool complete = true;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 's':
			show = true;
			break;
		case 'h':
			print_help();
			return EXIT_SUCCESS;
		default:
			usage_hint();
		}
	}

	/* Writing to a closed pipe then fails with EPIPE, and is not the end in silence. */
	signal(SIGPIPE, SIG_IGN);
	open_ring(&ring);
	show_state("start ", NULL);

	if (optind == argc) {
		put_into_slot(&ring, FILE_SLOT, STDIN_FILENO, "standard input");
		input_position = position_of(STDIN_FILENO);
		complete = copy_slot(&ring, "standard input");
		leave_position(STDIN_FILENO, input_position);
	}
	for (; optind < argc; optind++)
		complete = copy_file(&ring, argv[optind]) && complete;

	leave_position(STDOUT_FILENO, output_position);
	io_uring_queue_exit(&ring);
	return complete ? EXIT_SUCCESS : EXIT_FAILURE;
}
