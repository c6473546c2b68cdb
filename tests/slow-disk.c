/*
 * A slow disk: a file system with one file in it, called file.bin, each read of which takes a
 * while. It talks to the kernel by /dev/fuse, so it needs root. What has been read isn't kept in
 * memory: whoever opens the file again waits again.
 *
 * Usage: slow-disk MS BYTES FOLDER: each read takes MS milliseconds, the file has BYTES. Prints
 * "ready" when it's mounted; SIGTERM ends it.
 */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define REQUEST_BYTES (1 << 18)
#define FILE_NODE     2
#define VALID_S	      3600

static int fuse_fd;
static const char *folder;
static long delay_ms;
static unsigned long file_bytes;
static volatile sig_atomic_t ending;

static void answer(const struct fuse_in_header *in, int error_number, const void *data,
		   size_t length)
{
	static char reply[REQUEST_BYTES];
	struct fuse_out_header out = {
		.len = (unsigned)(sizeof(out) + length),
		.error = -error_number,
		.unique = in->unique,
	};

	memcpy(reply, &out, sizeof(out));
	if (length > 0)
		memcpy(reply + sizeof(out), data, length);
	if (write(fuse_fd, reply, out.len) < 0 && errno != ENOENT) /* whoever asked has given up */
		error(EXIT_FAILURE, errno, "write to /dev/fuse");
}

static struct fuse_attr attributes(unsigned long node)
{
	bool is_file = node == FILE_NODE;

	return (struct fuse_attr){
		.ino = node,
		.mode = is_file ? S_IFREG | 0444 : S_IFDIR | 0555,
		.size = is_file ? file_bytes : 0,
		.nlink = 1,
	};
}

static void on_lookup(const struct fuse_in_header *in, const char *name)
{
	const struct fuse_entry_out out = {
		.nodeid = FILE_NODE,
		.entry_valid = VALID_S,
		.attr_valid = VALID_S,
		.attr = attributes(FILE_NODE),
	};

	if (strcmp(name, "file.bin") == 0)
		answer(in, 0, &out, sizeof(out));
	else
		answer(in, ENOENT, NULL, 0);
}

static void on_read(const struct fuse_in_header *in, const struct fuse_read_in *read_in)
{
	static const char zeros[REQUEST_BYTES / 2];
	unsigned long left = read_in->offset < file_bytes ? file_bytes - read_in->offset : 0;

	nanosleep(&(struct timespec){delay_ms / 1000, delay_ms % 1000 * 1000000}, NULL);
	answer(in, 0, zeros, read_in->size < left ? read_in->size : left);
}

static void on_request(const struct fuse_in_header *in, const void *data)
{
	const struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION,
		.minor = 31,
		.max_readahead = 65536,
		.flags = FUSE_ASYNC_READ, /* else the kernel waits in its readahead */
		.max_write = 4096,
	};
	const struct fuse_attr_out attr = {.attr_valid = VALID_S, .attr = attributes(in->nodeid)};
	const struct fuse_open_out open = {0};

	switch (in->opcode) {
	case FUSE_INIT: answer(in, 0, &init, sizeof(init)); break;
	case FUSE_LOOKUP: on_lookup(in, data); break;
	case FUSE_GETATTR: answer(in, 0, &attr, sizeof(attr)); break;
	case FUSE_OPEN: answer(in, 0, &open, sizeof(open)); break;
	case FUSE_READ: on_read(in, data); break;
	case FUSE_FLUSH:
	case FUSE_RELEASE: answer(in, 0, NULL, 0); break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT: /* these have no answer */ break;
	default: answer(in, ENOSYS, NULL, 0);
	}
}

static void end(int number)
{
	(void)number;
	ending = 1;
}

/* Without SA_RESTART: the read that waits for a request is to end. */
static void end_by_signals(void)
{
	const struct sigaction action = {.sa_handler = end};

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
}

static void mount_it(void)
{
	char options[64];

	fuse_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fuse_fd < 0)
		error(EXIT_FAILURE, errno, "/dev/fuse");
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other",
		 fuse_fd);
	if (mount("slow-disk", folder, "fuse.slow-disk", MS_RDONLY | MS_NOSUID | MS_NODEV,
		  options) < 0)
		error(EXIT_FAILURE, errno, "mount at %s", folder);
}

/*
 * A ring that reads a file asks once whether the file system knows poll(2), in the thread that
 * submits the read, and waits for the answer. So a child asks now: later, it would have to wait
 * until this program is done with somebody's slow read.
 */
static void ask_for_poll(void)
{
	char path[PATH_MAX];
	struct pollfd file;

	snprintf(path, sizeof(path), "%s/file.bin", folder);
	file = (struct pollfd){.fd = open(path, O_RDONLY | O_CLOEXEC), .events = POLLIN};
	if (file.fd < 0 || poll(&file, 1, 0) < 0)
		error(EXIT_FAILURE, errno, "poll of %s", path);
}

static void start_child(void)
{
	signal(SIGCHLD, SIG_IGN); /* nobody waits for it */
	if (fork() != 0)
		return;
	ask_for_poll();
	puts("ready");
	exit(EXIT_SUCCESS);
}

int main(int argc, char **argv)
{
	static char request[REQUEST_BYTES];

	if (argc != 4)
		error(2, 0, "MS BYTES FOLDER");
	delay_ms = atol(argv[1]);
	file_bytes = strtoul(argv[2], NULL, 10);
	folder = argv[3];
	end_by_signals();
	mount_it();
	start_child();
	while (!ending)
		if (read(fuse_fd, request, sizeof(request)) > 0)
			on_request((const void *)request, request + sizeof(struct fuse_in_header));
		else if (errno == ENODEV) /* somebody else has unmounted it */
			break;
	umount2(folder, MNT_DETACH);
	return EXIT_SUCCESS;
}
