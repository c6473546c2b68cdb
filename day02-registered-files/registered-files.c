/*
 * Day 2: direct descriptors.
 *
 * Copies files to standard output, as cat(1) does. Each is opened straight into a slot of a table
 * that belongs to the ring, so it never becomes a file descriptor of this process: nothing else can
 * close it, inherit it or run into a limit because of it.
 *
 * Needs: Linux 5.19.
 * Run:   make day02 && ./day02/registered-files README.md
 *        ./day02/registered-files --show README.md LICENSE > /dev/null
 */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <liburing.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/options.h"
#include "common/position.h"
#include "common/ring.h"

#define ENTRIES	     8 /* one request at a time is in flight */
#define SLOTS	     64
#define OUTPUT_SLOT  0
#define FILE_SLOT    42
#define BUFFER_BYTES (128 * 1024)

static struct io_uring ring;
static char buffer[BUFFER_BYTES];
static __u64 output_position;
static bool show;

static void open_ring(void)
{
	const int output = STDOUT_FILENO;
	struct io_uring_params params = {0};
	int result;

	ring_open(&ring, ENTRIES, &params);
	/* The ring is a descriptor, too; from here on liburing names it by its index in a table. */
	ring_check_register(io_uring_register_ring_fd(&ring), "io_uring_register_ring_fd",
			    "registered ring descriptors, which Linux 5.18 has; day 2 needs them");
	ring_check_register(io_uring_register_files_sparse(&ring, SLOTS),
			    "io_uring_register_files_sparse",
			    "sparse tables, which Linux 5.19 has; day 2 needs them");
	/* A file that's already open can go into a slot as well. */
	result = io_uring_register_files_update(&ring, OUTPUT_SLOT, &output, 1);
	if (result < 0)
		error(EXIT_FAILURE, -result, "standard output: io_uring_register_files_update");
}

/* Submits the one request that is prepared, waits for it, and returns its result. */
static int result_of_one(void)
{
	struct io_uring_cqe *cqe;
	int result;

	/* Day 1's submit and wait, but in one system call. */
	while (io_uring_peek_cqe(&ring, &cqe) != 0)
		ring_again(&ring, io_uring_submit_and_wait(&ring, 1), "io_uring_submit_and_wait");
	result = cqe->res;
	io_uring_cqe_seen(&ring, cqe);
	return result;
}

static int open_into_slot(const char *path)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring); /* one at a time: never NULL */

	io_uring_prep_openat_direct(sqe, AT_FDCWD, path, O_RDONLY, 0, FILE_SLOT);
	return result_of_one();
}

static int read_from_slot(__u64 position)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_read(sqe, FILE_SLOT, buffer, BUFFER_BYTES, position);
	sqe->flags |= IOSQE_FIXED_FILE; /* FILE_SLOT is a slot, not a descriptor */
	return result_of_one();
}

static int write_to_slot(const char *data, unsigned length, __u64 position)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_write(sqe, OUTPUT_SLOT, data, length, position);
	sqe->flags |= IOSQE_FIXED_FILE;
	return result_of_one();
}

/* close(2) would close the descriptor that happens to have this number. */
static int close_slot(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_close_direct(sqe, FILE_SLOT); /* always a slot: takes no IOSQE_FIXED_FILE */
	return result_of_one();
}

/* What open(2) would return now: the lowest number that this process doesn't use. */
static int next_descriptor(void)
{
	int fd = dup(STDERR_FILENO);

	if (fd < 0)
		error(EXIT_FAILURE, errno, "dup");
	close(fd);
	return fd;
}

static void show_state(const char *file)
{
	if (show)
		fprintf(stderr, "next descriptor: %d; slot %d: standard output; slot %d: %s\n",
			next_descriptor(), OUTPUT_SLOT, FILE_SLOT, file);
}

/* A write may take fewer bytes than it was given, so the next one goes on with the rest. */
static void write_all(int length)
{
	int done = 0;
	int count;

	while (done < length) {
		count = write_to_slot(buffer + done, (unsigned)(length - done), output_position);
		if (count == -EINTR)
			continue;
		if (count < 0)
			error(EXIT_FAILURE, -count, "standard output: write");
		position_move(&output_position, count);
		done += count;
	}
}

/* Returns whether all of the file in FILE_SLOT has been written. */
static bool copy_slot(const char *path)
{
	__u64 position = position_at_start(path);
	int count;

	while ((count = read_from_slot(position)) != 0) {
		if (count == -EINTR)
			continue;
		if (count < 0) {
			error(0, -count, "%s: read", path);
			return false;
		}
		position_move(&position, count);
		write_all(count);
	}
	return true;
}

static bool copy_file(const char *path)
{
	int result = open_into_slot(path);
	bool complete;

	if (result < 0) {
		error(0, -result, "%s: open", path);
		return false;
	}
	show_state(path);
	complete = copy_slot(path);
	result = close_slot();
	if (result < 0)
		error(EXIT_FAILURE, -result, "%s: close", path);
	show_state("empty");
	return complete;
}

int main(int argc, char **argv)
{
	const struct option_entry options[] = {
		{"show", "", "print which slots and descriptors are in use, on standard error",
		 .flag = &show},
		{0},
	};
	bool complete = true;

	options_parse(argc, argv, "[--show] FILE...\nWrites every FILE to standard output.",
		      options);
	if (optind == argc)
		usage_error("no FILE (standard input is /dev/stdin)");

	signal(SIGPIPE, SIG_IGN); /* writing to a closed pipe then fails with EPIPE */
	open_ring();
	output_position = position_of(STDOUT_FILENO);
	show_state("empty");
	for (; optind < argc; optind++)
		complete = copy_file(argv[optind]) && complete;

	position_hand_back(STDOUT_FILENO, output_position);
	io_uring_queue_exit(&ring);
	return complete ? EXIT_SUCCESS : EXIT_FAILURE;
}
