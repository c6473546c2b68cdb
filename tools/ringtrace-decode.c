/*
 * ringtrace: SQEs, CQEs and their flags as text. The tables are by number and not by the header's
 * names, so that a program built with a newer liburing than this file is understood as well.
 */
#include "tools/ringtrace.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define DIRECT_SLOT_ANY	 UINT32_MAX /* IORING_FILE_INDEX_ALLOC */
#define CURRENT_POSITION UINT64_MAX
#define LAST_FLAG                                                                                  \
	{                                                                                          \
		0, NULL                                                                            \
	}

/* Operations that liburing 2.3 has no name for, yet take part in the special cases below. */
enum later_operation {
	OP_READ_MULTISHOT = 49,
	OP_FTRUNCATE = 55,
	OP_BIND = 56,
	OP_LISTEN = 57,
	OP_RECV_ZC = 58,
	OP_PIPE = 62,
	OP_NOP128 = 63,
	OP_URING_CMD128 = 64,
};

struct flag {
	uint32_t bit;
	const char *name;
};

static const struct flag sqe_flags[] = {
	{1 << 0, "FIXED_FILE"},	      {1 << 1, "DRAIN"}, {1 << 2, "LINK"},
	{1 << 3, "HARDLINK"},	      {1 << 4, "ASYNC"}, {1 << 5, "BUFFER_SELECT"},
	{1 << 6, "CQE_SKIP_SUCCESS"}, LAST_FLAG,
};
static const struct flag accept_ioprio_flags[] = {
	{1 << 0, "MULTISHOT"},
	{1 << 1, "DONTWAIT"},
	{1 << 2, "POLL_FIRST"},
	LAST_FLAG,
};
static const struct flag transfer_ioprio_flags[] = {
	{1 << 0, "POLL_FIRST"},
	{1 << 1, "MULTISHOT"},
	{1 << 2, "FIXED_BUF"},
	{1 << 3, "ZC_REPORT_USAGE"},
	{1 << 4, "BUNDLE"},
	{1 << 5, "SEND_VECTORIZED"},
	LAST_FLAG,
};
static const struct flag message_flags[] = {
	{MSG_OOB, "MSG_OOB"},
	{MSG_PEEK, "MSG_PEEK"},
	{MSG_DONTROUTE, "MSG_DONTROUTE"},
	{MSG_TRUNC, "MSG_TRUNC"},
	{MSG_DONTWAIT, "MSG_DONTWAIT"},
	{MSG_EOR, "MSG_EOR"},
	{MSG_WAITALL, "MSG_WAITALL"},
	{MSG_CONFIRM, "MSG_CONFIRM"},
	{MSG_ERRQUEUE, "MSG_ERRQUEUE"},
	{MSG_NOSIGNAL, "MSG_NOSIGNAL"},
	{MSG_MORE, "MSG_MORE"},
	{MSG_CMSG_CLOEXEC, "MSG_CMSG_CLOEXEC"},
	LAST_FLAG,
};
static const struct flag socket_flags[] = {
	{SOCK_CLOEXEC, "SOCK_CLOEXEC"},
	{SOCK_NONBLOCK, "SOCK_NONBLOCK"},
	LAST_FLAG,
};
static const struct flag read_write_flags[] = {
	{1 << 0, "RWF_HIPRI"},	{1 << 1, "RWF_DSYNC"},	   {1 << 2, "RWF_SYNC"},
	{1 << 3, "RWF_NOWAIT"}, {1 << 4, "RWF_APPEND"},	   {1 << 5, "RWF_NOAPPEND"},
	{1 << 6, "RWF_ATOMIC"}, {1 << 7, "RWF_DONTCACHE"}, LAST_FLAG,
};
static const struct flag fsync_flags[] = {{1 << 0, "DATASYNC"}, LAST_FLAG};
static const struct flag timeout_flags[] = {
	{1 << 0, "ABS"},
	{1 << 1, "UPDATE"},
	{1 << 2, "BOOTTIME"},
	{1 << 3, "REALTIME"},
	{1 << 4, "LINK_TIMEOUT_UPDATE"},
	{1 << 5, "ETIME_SUCCESS"},
	{1 << 6, "MULTISHOT"},
	LAST_FLAG,
};
static const struct flag cancel_flags[] = {
	{1 << 0, "ALL"},      {1 << 1, "FD"}, {1 << 2, "ANY"}, {1 << 3, "FD_FIXED"},
	{1 << 4, "USERDATA"}, {1 << 5, "OP"}, LAST_FLAG,
};
static const struct flag poll_command_flags[] = {
	{1 << 0, "MULTISHOT"},
	{1 << 1, "UPDATE_EVENTS"},
	{1 << 2, "UPDATE_USER_DATA"},
	{1 << 3, "LEVEL"},
	LAST_FLAG,
};
static const struct flag poll_events[] = {
	{POLLIN, "POLLIN"},	    {POLLPRI, "POLLPRI"},
	{POLLOUT, "POLLOUT"},	    {POLLERR, "POLLERR"},
	{POLLHUP, "POLLHUP"},	    {POLLNVAL, "POLLNVAL"},
	{POLLRDNORM, "POLLRDNORM"}, {POLLRDBAND, "POLLRDBAND"},
	{POLLWRNORM, "POLLWRNORM"}, {POLLWRBAND, "POLLWRBAND"},
	{POLLRDHUP, "POLLRDHUP"},   {1U << 28, "EPOLLEXCLUSIVE"},
	{1U << 31, "EPOLLET"},	    LAST_FLAG,
};
static const struct flag open_flags[] = {
	{O_WRONLY, "O_WRONLY"},
	{O_RDWR, "O_RDWR"},
	{O_CREAT, "O_CREAT"},
	{O_EXCL, "O_EXCL"},
	{O_TRUNC, "O_TRUNC"},
	{O_APPEND, "O_APPEND"},
	{O_NONBLOCK, "O_NONBLOCK"},
	{O_DIRECT, "O_DIRECT"},
	{O_DIRECTORY, "O_DIRECTORY"},
	{O_NOFOLLOW, "O_NOFOLLOW"},
	{O_CLOEXEC, "O_CLOEXEC"},
	{O_PATH, "O_PATH"},
	LAST_FLAG,
};
static const struct flag splice_flags[] = {
	{1 << 0, "SPLICE_F_MOVE"},
	{1 << 1, "SPLICE_F_NONBLOCK"},
	{1 << 2, "SPLICE_F_MORE"},
	{1U << 31, "FD_IN_FIXED"},
	LAST_FLAG,
};
static const struct flag message_ring_flags[] = {
	{1 << 0, "CQE_SKIP"},
	{1 << 1, "FLAGS_PASS"},
	LAST_FLAG,
};
static const struct flag command_flags[] = {{1 << 0, "FIXED"}, {1 << 1, "MULTISHOT"}, LAST_FLAG};
static const struct flag cqe_flags[] = {
	{1 << 1, "MORE"},     {1 << 2, "SOCK_NONEMPTY"}, {1 << 3, "NOTIF"},
	{1 << 4, "BUF_MORE"}, {CQE_IS_BIG, "CQE32"},	 LAST_FLAG,
};
static const struct flag setup_flags[] = {
	{1 << 0, "IOPOLL"},	    {1 << 1, "SQPOLL"},
	{1 << 2, "SQ_AFF"},	    {1 << 3, "CQSIZE"},
	{1 << 4, "CLAMP"},	    {1 << 5, "ATTACH_WQ"},
	{1 << 6, "R_DISABLED"},	    {1 << 7, "SUBMIT_ALL"},
	{1 << 8, "COOP_TASKRUN"},   {1 << 9, "TASKRUN_FLAG"},
	{1 << 10, "SQE128"},	    {1 << 11, "CQE32"},
	{1 << 12, "SINGLE_ISSUER"}, {1 << 13, "DEFER_TASKRUN"},
	{1 << 14, "NO_MMAP"},	    {1 << 15, "REGISTERED_FD_ONLY"},
	{1 << 16, "NO_SQARRAY"},    {1 << 17, "HYBRID_IOPOLL"},
	{1 << 18, "CQE_MIXED"},	    {1 << 19, "SQE_MIXED"},
	{1 << 20, "SQ_REWIND"},	    LAST_FLAG,
};

/* What an operation's fields mean, where they follow a pattern; the others have a function. */
enum {
	FD = 1 << 0,	  /* fd, a descriptor or a slot */
	LENGTH = 1 << 1,  /* len bytes */
	VECTORS = 1 << 2, /* len vectors */
	ADDRESS = 1 << 3, /* addr, a buffer */
	OFFSET = 1 << 4,  /* off, in a file */
	BUFFER = 1 << 5,  /* buf_index, a registered buffer */
	INTO = 1 << 6,	  /* file_index, the slot that shall hold the result */
	PATH = 1 << 7,	  /* fd is a directory and addr a path in it */
};

static const struct operation {
	const char *name;
	unsigned fields;
	const struct flag *ioprio_flags, *own_flags;
	void (*add)(struct text *text, const struct io_uring_sqe *sqe);
} operations[];

static void add_flags(struct text *text, const struct flag *flags, uint32_t set, const char *before)
{
	for (; flags->name; flags++) {
		if (set & flags->bit) {
			text_add(text, "%s%s", before, flags->name);
			before = "|";
			set &= ~flags->bit;
		}
	}
	if (set)
		text_add(text, "%s0x%x", before, set);
}

void add_error(struct text *text, int error)
{
	const char *name = strerrorname_np(error);

	if (name)
		text_add(text, "-%s (%s)", name, strerrordesc_np(error));
	else
		text_add(text, "-%d", error);
}

void add_user_data(struct text *text, uint64_t user_data)
{
	if (user_data == LIBURING_UDATA_TIMEOUT)
		text_add(text, "user_data LIBURING_UDATA_TIMEOUT");
	else if (settings.decimal_user_data)
		text_add(text, "user_data %llu", (unsigned long long)user_data);
	else
		text_add(text, "user_data 0x%llx", (unsigned long long)user_data);
}

void add_duration(struct text *text, uint64_t nanoseconds)
{
	text_add(text, "%llu.%03llu ms", (unsigned long long)nanoseconds / 1000000,
		 (unsigned long long)nanoseconds / 1000 % 1000);
}

void add_setup_flags(struct text *text, uint32_t flags)
{
	add_flags(text, setup_flags, flags, ", ");
}

void add_cqe_flags(struct text *text, uint32_t flags)
{
	if (flags & IORING_CQE_F_BUFFER) {
		text_add(text, "  buffer %u", flags >> IORING_CQE_BUFFER_SHIFT);
		flags &= (1U << IORING_CQE_BUFFER_SHIFT) - 1;
	}
	add_flags(text, cqe_flags, flags & ~IORING_CQE_F_BUFFER, "  ");
}

/* A path is text that the program may have got from anywhere: nothing of it moves the cursor. */
static void add_path(struct text *text, uint64_t address)
{
	char path[64];
	size_t length = memory_peek(address, path, sizeof(path));
	size_t i;

	if (!length) {
		text_add(text, " path at 0x%llx", (unsigned long long)address);
		return;
	}
	text_add(text, " '");
	for (i = 0; i < length && path[i]; i++)
		text_add(text, "%c", isprint((unsigned char)path[i]) ? path[i] : '?');
	text_add(text, i == length ? "...'" : "'");
}

static void add_descriptor(struct text *text, const struct io_uring_sqe *sqe)
{
	if (sqe->flags & IOSQE_FIXED_FILE)
		text_add(text, " slot %d", sqe->fd);
	else if (sqe->fd == AT_FDCWD)
		text_add(text, " cwd");
	else
		text_add(text, " fd %d", sqe->fd);
}

static void add_into(struct text *text, const struct io_uring_sqe *sqe)
{
	if (sqe->file_index == DIRECT_SLOT_ANY)
		text_add(text, " into any free slot");
	else if (sqe->file_index)
		text_add(text, " into slot %u", sqe->file_index - 1);
}

static void add_time(struct text *text, const char *before, uint64_t address)
{
	struct __kernel_timespec time;

	if (memory_peek(address, &time, sizeof(time)) != sizeof(time))
		text_add(text, " timespec at 0x%llx", (unsigned long long)address);
	else
		text_add(text, " %s%lld.%06lld s", before, (long long)time.tv_sec,
			 (long long)time.tv_nsec / 1000);
}

static void add_target_user_data(struct text *text, uint64_t user_data)
{
	text_add(text, " the request with ");
	add_user_data(text, user_data);
}

static void add_timeout(struct text *text, const struct io_uring_sqe *sqe)
{
	add_time(text, sqe->timeout_flags & IORING_TIMEOUT_ABS ? "at " : "", sqe->addr);
	if (sqe->off)
		text_add(text, " or %llu completions", (unsigned long long)sqe->off);
}

static void add_timeout_remove(struct text *text, const struct io_uring_sqe *sqe)
{
	add_target_user_data(text, sqe->addr);
	if (sqe->timeout_flags & (IORING_TIMEOUT_UPDATE | IORING_LINK_TIMEOUT_UPDATE))
		add_time(text, "to ", sqe->off);
}

static void add_link_timeout(struct text *text, const struct io_uring_sqe *sqe)
{
	add_time(text, sqe->timeout_flags & IORING_TIMEOUT_ABS ? "at " : "", sqe->addr);
	text_add(text, " for the SQE before it");
}

static void add_cancel(struct text *text, const struct io_uring_sqe *sqe)
{
	if (sqe->cancel_flags & IORING_ASYNC_CANCEL_ANY)
		text_add(text, " any request");
	else if (sqe->cancel_flags & IORING_ASYNC_CANCEL_FD)
		text_add(text, " of %s %d",
			 sqe->cancel_flags & IORING_ASYNC_CANCEL_FD_FIXED ? "slot" : "fd", sqe->fd);
	else
		add_target_user_data(text, sqe->addr);
}

static void add_poll(struct text *text, const struct io_uring_sqe *sqe)
{
	add_descriptor(text, sqe);
	add_flags(text, poll_events, sqe->poll32_events, " for ");
	add_flags(text, poll_command_flags, sqe->len, "  ");
}

static void add_poll_remove(struct text *text, const struct io_uring_sqe *sqe)
{
	add_target_user_data(text, sqe->addr);
	if (sqe->len & IORING_POLL_UPDATE_EVENTS)
		add_flags(text, poll_events, sqe->poll32_events, " to ");
	if (sqe->len & IORING_POLL_UPDATE_USER_DATA) {
		text_add(text, " to ");
		add_user_data(text, sqe->off);
	}
	add_flags(text, poll_command_flags, sqe->len, "  ");
}

static void add_close(struct text *text, const struct io_uring_sqe *sqe)
{
	if (sqe->file_index)
		text_add(text, " slot %u", sqe->file_index - 1);
	else
		text_add(text, " fd %d", sqe->fd);
}

static void add_files_update(struct text *text, const struct io_uring_sqe *sqe)
{
	if (sqe->off == DIRECT_SLOT_ANY)
		text_add(text, " %u descriptors into any free slots", sqe->len);
	else
		text_add(text, " %u slots from slot %llu", sqe->len, (unsigned long long)sqe->off);
}

static void add_provide_buffers(struct text *text, const struct io_uring_sqe *sqe)
{
	text_add(text, " %d of len %u from buffer %llu, group %u, addr 0x%llx", sqe->fd, sqe->len,
		 (unsigned long long)sqe->off, sqe->buf_group, (unsigned long long)sqe->addr);
}

static void add_remove_buffers(struct text *text, const struct io_uring_sqe *sqe)
{
	text_add(text, " %d of group %u", sqe->fd, sqe->buf_group);
}

static void add_splice(struct text *text, const struct io_uring_sqe *sqe)
{
	text_add(text, " %s %d to", sqe->splice_flags & SPLICE_F_FD_IN_FIXED ? "slot" : "fd",
		 sqe->splice_fd_in);
	add_descriptor(text, sqe);
	text_add(text, " len %u", sqe->len);
}

static void add_shutdown(struct text *text, const struct io_uring_sqe *sqe)
{
	static const char *const ways[] = {"SHUT_RD", "SHUT_WR", "SHUT_RDWR"};

	add_descriptor(text, sqe);
	if (sqe->len < COUNT(ways))
		text_add(text, " %s", ways[sqe->len]);
	else
		text_add(text, " how %u", sqe->len);
}

static void add_socket(struct text *text, const struct io_uring_sqe *sqe)
{
	text_add(text, " domain %d type %llu protocol %u", sqe->fd, (unsigned long long)sqe->off,
		 sqe->len);
	add_into(text, sqe);
}

static void add_message_ring(struct text *text, const struct io_uring_sqe *sqe)
{
	text_add(text, " to the ring of");
	add_descriptor(text, sqe);
	if (sqe->addr == IORING_MSG_SEND_FD)
		text_add(text, " a slot");
	else
		text_add(text, " result %u", sqe->len);
	text_add(text, " with ");
	add_user_data(text, sqe->off);
}

static void add_command(struct text *text, const struct io_uring_sqe *sqe)
{
	add_descriptor(text, sqe);
	text_add(text, " command %u", sqe->cmd_op);
}

static void add_bind(struct text *text, const struct io_uring_sqe *sqe)
{
	add_descriptor(text, sqe);
	text_add(text, " address of len %llu at 0x%llx", (unsigned long long)sqe->off,
		 (unsigned long long)sqe->addr);
}

static void add_backlog(struct text *text, const struct io_uring_sqe *sqe)
{
	add_descriptor(text, sqe);
	text_add(text, " backlog %u", sqe->len);
}

/* In the order of enum io_uring_op. */
static const struct operation operations[] = {
	{"nop", 0, NULL, NULL, NULL},
	{"readv", FD | VECTORS | ADDRESS | OFFSET, NULL, read_write_flags, NULL},
	{"writev", FD | VECTORS | ADDRESS | OFFSET, NULL, read_write_flags, NULL},
	{"fsync", FD, NULL, fsync_flags, NULL},
	{"read_fixed", FD | LENGTH | ADDRESS | OFFSET | BUFFER, NULL, read_write_flags, NULL},
	{"write_fixed", FD | LENGTH | ADDRESS | OFFSET | BUFFER, NULL, read_write_flags, NULL},
	{"poll_add", 0, NULL, NULL, add_poll},
	{"poll_remove", 0, NULL, NULL, add_poll_remove},
	{"sync_file_range", FD | LENGTH | OFFSET, NULL, NULL, NULL},
	{"sendmsg", FD | ADDRESS, transfer_ioprio_flags, message_flags, NULL},
	{"recvmsg", FD | ADDRESS, transfer_ioprio_flags, message_flags, NULL},
	{"timeout", 0, NULL, timeout_flags, add_timeout},
	{"timeout_remove", 0, NULL, timeout_flags, add_timeout_remove},
	{"accept", FD | INTO, accept_ioprio_flags, socket_flags, NULL},
	{"async_cancel", 0, NULL, cancel_flags, add_cancel},
	{"link_timeout", 0, NULL, timeout_flags, add_link_timeout},
	{"connect", 0, NULL, NULL, add_bind},
	{"fallocate", FD | OFFSET, NULL, NULL, NULL},
	{"openat", PATH | INTO, NULL, open_flags, NULL},
	{"close", 0, NULL, NULL, add_close},
	{"files_update", 0, NULL, NULL, add_files_update},
	{"statx", PATH, NULL, NULL, NULL},
	{"read", FD | LENGTH | ADDRESS | OFFSET, NULL, read_write_flags, NULL},
	{"write", FD | LENGTH | ADDRESS | OFFSET, NULL, read_write_flags, NULL},
	{"fadvise", FD | LENGTH | OFFSET, NULL, NULL, NULL},
	{"madvise", LENGTH | ADDRESS, NULL, NULL, NULL},
	{"send", FD | LENGTH | ADDRESS, transfer_ioprio_flags, message_flags, NULL},
	{"recv", FD | LENGTH | ADDRESS, transfer_ioprio_flags, message_flags, NULL},
	{"openat2", PATH | INTO, NULL, NULL, NULL},
	{"epoll_ctl", FD, NULL, NULL, NULL},
	{"splice", 0, NULL, splice_flags, add_splice},
	{"provide_buffers", 0, NULL, NULL, add_provide_buffers},
	{"remove_buffers", 0, NULL, NULL, add_remove_buffers},
	{"tee", 0, NULL, splice_flags, add_splice},
	{"shutdown", 0, NULL, NULL, add_shutdown},
	{"renameat", PATH, NULL, NULL, NULL},
	{"unlinkat", PATH, NULL, NULL, NULL},
	{"mkdirat", PATH, NULL, NULL, NULL},
	{"symlinkat", PATH, NULL, NULL, NULL},
	{"linkat", PATH, NULL, NULL, NULL},
	{"msg_ring", 0, NULL, message_ring_flags, add_message_ring},
	{"fsetxattr", FD, NULL, NULL, NULL},
	{"setxattr", 0, NULL, NULL, NULL},
	{"fgetxattr", FD, NULL, NULL, NULL},
	{"getxattr", 0, NULL, NULL, NULL},
	{"socket", 0, NULL, NULL, add_socket},
	{"uring_cmd", 0, NULL, command_flags, add_command},
	{"send_zc", FD | LENGTH | ADDRESS, transfer_ioprio_flags, message_flags, NULL},
	{"sendmsg_zc", FD | ADDRESS, transfer_ioprio_flags, message_flags, NULL},
	{"read_multishot", FD | LENGTH, NULL, read_write_flags, NULL},
	{"waitid", 0, NULL, NULL, NULL},
	{"futex_wait", ADDRESS, NULL, NULL, NULL},
	{"futex_wake", ADDRESS, NULL, NULL, NULL},
	{"futex_waitv", ADDRESS, NULL, NULL, NULL},
	{"fixed_fd_install", FD, NULL, NULL, NULL},
	{"ftruncate", FD | OFFSET, NULL, NULL, NULL},
	{"bind", 0, NULL, NULL, add_bind},
	{"listen", 0, NULL, NULL, add_backlog},
	{"recv_zc", FD | LENGTH, transfer_ioprio_flags, NULL, NULL},
	{"epoll_wait", FD | ADDRESS, NULL, NULL, NULL},
	{"readv_fixed", FD | VECTORS | ADDRESS | OFFSET | BUFFER, NULL, read_write_flags, NULL},
	{"writev_fixed", FD | VECTORS | ADDRESS | OFFSET | BUFFER, NULL, read_write_flags, NULL},
	{"pipe", INTO, NULL, open_flags, NULL},
	{"nop128", 0, NULL, NULL, NULL},
	{"uring_cmd128", 0, NULL, command_flags, add_command},
};

const char *operation_name(unsigned opcode)
{
	static __thread char number[16] __attribute__((tls_model("initial-exec")));

	if (opcode < COUNT(operations))
		return operations[opcode].name;
	snprintf(number, sizeof(number), "op %u", opcode);
	return number;
}

int operation_number(const char *name)
{
	size_t i;

	for (i = 0; i < COUNT(operations); i++)
		if (strcmp(operations[i].name, name) == 0)
			return (int)i;
	return -1;
}

bool sqe_takes_two_entries(const struct io_uring_sqe *sqe)
{
	return sqe->opcode == OP_NOP128 || sqe->opcode == OP_URING_CMD128;
}

static bool may_repeat(const struct io_uring_sqe *sqe)
{
	switch (sqe->opcode) {
	case IORING_OP_ACCEPT:
		return sqe->ioprio & IORING_ACCEPT_MULTISHOT;
	case IORING_OP_RECV:
	case IORING_OP_RECVMSG:
		return sqe->ioprio & IORING_RECV_MULTISHOT;
	case IORING_OP_POLL_ADD:
		return sqe->len & IORING_POLL_ADD_MULTI;
	case IORING_OP_TIMEOUT:
		return sqe->timeout_flags & (1 << 6);
	case IORING_OP_URING_CMD:
	case OP_URING_CMD128:
		return sqe->uring_cmd_flags & (1 << 1);
	case IORING_OP_SEND: /* with BUNDLE */
	case IORING_OP_SEND_ZC:
	case IORING_OP_SENDMSG_ZC:
	case OP_READ_MULTISHOT:
	case OP_RECV_ZC:
		return true;
	default:
		return sqe->opcode >= COUNT(operations);
	}
}

static bool gives_descriptor(unsigned opcode)
{
	return opcode == IORING_OP_ACCEPT || opcode == IORING_OP_OPENAT ||
	       opcode == IORING_OP_OPENAT2 || opcode == IORING_OP_SOCKET;
}

void sqe_read(const struct io_uring_sqe *sqe, struct request *request)
{
	*request = (struct request){
		.user_data = sqe->user_data,
		.fd = sqe->fd,
		.opcode = sqe->opcode,
		.may_repeat = may_repeat(sqe),
		.selects_buffer = sqe->flags & IOSQE_BUFFER_SELECT,
		.gives_fd = gives_descriptor(sqe->opcode) && !sqe->file_index,
		.gives_slot = gives_descriptor(sqe->opcode) && sqe->file_index == DIRECT_SLOT_ANY,
		.silent = sqe->flags & IOSQE_CQE_SKIP_SUCCESS,
	};
}

static bool has_descriptor(const struct io_uring_sqe *sqe)
{
	switch (sqe->opcode) {
	case IORING_OP_POLL_ADD:
	case IORING_OP_CONNECT:
	case IORING_OP_SPLICE:
	case IORING_OP_TEE:
	case IORING_OP_SHUTDOWN:
	case IORING_OP_URING_CMD:
	case OP_BIND:
	case OP_LISTEN:
		return true;
	default:
		return sqe->opcode < COUNT(operations) && (operations[sqe->opcode].fields & FD);
	}
}

void sqe_target(struct text *text, const struct io_uring_sqe *sqe)
{
	if (sqe->opcode == IORING_OP_CLOSE)
		add_close(text, sqe);
	else if (has_descriptor(sqe))
		add_descriptor(text, sqe);
	else
		text_add(text, " no descriptor");
}

static void add_fields(struct text *text, unsigned fields, const struct io_uring_sqe *sqe)
{
	bool selects = sqe->flags & IOSQE_BUFFER_SELECT;

	if (fields & (FD | PATH))
		add_descriptor(text, sqe);
	if (fields & PATH)
		add_path(text, sqe->addr);
	if (fields & INTO)
		add_into(text, sqe);
	if (fields & LENGTH)
		text_add(text, " len %u", sqe->len);
	if (fields & VECTORS)
		text_add(text, " vectors %u", sqe->len);
	if (fields & ADDRESS && !selects)
		text_add(text, " addr 0x%llx", (unsigned long long)sqe->addr);
	if (fields & BUFFER)
		text_add(text, " registered buffer %u", sqe->buf_index);
	if (fields & OFFSET && sqe->off == CURRENT_POSITION)
		text_add(text, " at the file's position");
	else if (fields & OFFSET)
		text_add(text, " offset %llu", (unsigned long long)sqe->off);
	if (selects)
		text_add(text, " group %u", sqe->buf_group);
}

void add_sqe(struct text *text, const struct io_uring_sqe *sqe)
{
	const struct operation *operation;

	text_add(text, "SQE  %-8s", operation_name(sqe->opcode));
	if (sqe->opcode >= COUNT(operations)) {
		add_descriptor(text, sqe);
		text_add(text, " len %u addr 0x%llx off 0x%llx", sqe->len,
			 (unsigned long long)sqe->addr, (unsigned long long)sqe->off);
		add_flags(text, sqe_flags, sqe->flags, "  ");
		text_add(text, "  ");
		add_user_data(text, sqe->user_data);
		return;
	}
	operation = &operations[sqe->opcode];
	add_fields(text, operation->fields, sqe);
	if (operation->add)
		operation->add(text, sqe);
	add_flags(text, sqe_flags, sqe->flags, "  ");
	if (operation->ioprio_flags)
		add_flags(text, operation->ioprio_flags, sqe->ioprio, "  ");
	if (operation->own_flags)
		add_flags(text, operation->own_flags, (uint32_t)sqe->rw_flags, "  ");
	text_add(text, "  ");
	add_user_data(text, sqe->user_data);
}

void add_result(struct text *text, const struct request *request, int32_t result)
{
	text_add(text, " = ");
	if (result < 0)
		add_error(text, -result);
	else if (request && request->gives_slot)
		text_add(text, "slot %d", result);
	else if (request && request->gives_fd)
		text_add(text, "fd %d", result);
	else if (request && request->opcode == IORING_OP_POLL_ADD && result > 0)
		add_flags(text, poll_events, (uint32_t)result, "");
	else
		text_add(text, "%d", result);
}
