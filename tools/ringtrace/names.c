/*
 * ringtrace: the names that names.h promises.
 */
#include "tools/ringtrace/names.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const struct flag sqe_flags[] = {
	{1 << 0, "FIXED_FILE"},
	{1 << 1, "DRAIN"},
	{1 << 2, "LINK"},
	{1 << 3, "HARDLINK"},
	{1 << 4, "ASYNC"},
	{1 << 5, "BUFFER_SELECT"},
	{1 << 6, "CQE_SKIP_SUCCESS"},
	{0},
};
static const struct flag accept_ioprio_flags[] = {
	{1 << 0, "MULTISHOT"},
	{1 << 1, "DONTWAIT"},
	{1 << 2, "POLL_FIRST"},
	{0},
};
static const struct flag transfer_ioprio_flags[] = {
	{1 << 0, "POLL_FIRST"},
	{1 << 1, "MULTISHOT"},
	{1 << 2, "FIXED_BUF"},
	{1 << 3, "ZC_REPORT_USAGE"},
	{1 << 4, "BUNDLE"},
	{1 << 5, "SEND_VECTORIZED"},
	{0},
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
	{0},
};
static const struct flag socket_flags[] = {
	{SOCK_CLOEXEC, "SOCK_CLOEXEC"},
	{SOCK_NONBLOCK, "SOCK_NONBLOCK"},
	{0},
};
static const struct flag read_write_flags[] = {
	{1 << 0, "RWF_HIPRI"},	{1 << 1, "RWF_DSYNC"},	   {1 << 2, "RWF_SYNC"},
	{1 << 3, "RWF_NOWAIT"}, {1 << 4, "RWF_APPEND"},	   {1 << 5, "RWF_NOAPPEND"},
	{1 << 6, "RWF_ATOMIC"}, {1 << 7, "RWF_DONTCACHE"}, {0},
};
static const struct flag fsync_flags[] = {{1 << 0, "DATASYNC"}, {0}};
static const struct flag timeout_flags[] = {
	{1 << 0, "ABS"},
	{1 << 1, "UPDATE"},
	{1 << 2, "BOOTTIME"},
	{1 << 3, "REALTIME"},
	{1 << 4, "LINK_TIMEOUT_UPDATE"},
	{1 << 5, "ETIME_SUCCESS"},
	{1 << 6, "MULTISHOT"},
	{1 << 7, "IMMEDIATE_ARG"},
	{0},
};
static const struct flag cancel_flags[] = {
	{1 << 0, "ALL"},
	{1 << 1, "FD"},
	{1 << 2, "ANY"},
	{1 << 3, "FD_FIXED"},
	{1 << 4, "USERDATA"},
	{1 << 5, "OP"},
	{0},
};
const struct flag poll_command_flags[] = {
	{1 << 0, "MULTISHOT"},
	{1 << 1, "UPDATE_EVENTS"},
	{1 << 2, "UPDATE_USER_DATA"},
	{1 << 3, "LEVEL"},
	{0},
};
const struct flag poll_events[] = {
	{POLLIN, "POLLIN"},	    {POLLPRI, "POLLPRI"},
	{POLLOUT, "POLLOUT"},	    {POLLERR, "POLLERR"},
	{POLLHUP, "POLLHUP"},	    {POLLNVAL, "POLLNVAL"},
	{POLLRDNORM, "POLLRDNORM"}, {POLLRDBAND, "POLLRDBAND"},
	{POLLWRNORM, "POLLWRNORM"}, {POLLWRBAND, "POLLWRBAND"},
	{POLLRDHUP, "POLLRDHUP"},   {1U << 28, "EPOLLEXCLUSIVE"},
	{1U << 31, "EPOLLET"},	    {0},
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
	{0},
};
static const struct flag splice_flags[] = {
	{1 << 0, "SPLICE_F_MOVE"},
	{1 << 1, "SPLICE_F_NONBLOCK"},
	{1 << 2, "SPLICE_F_MORE"},
	{1U << 31, "FD_IN_FIXED"},
	{0},
};
static const struct flag message_ring_flags[] = {
	{1 << 0, "CQE_SKIP"},
	{1 << 1, "FLAGS_PASS"},
	{0},
};
static const struct flag nop_flags[] = {
	{1 << 0, "INJECT_RESULT"},
	{1 << 1, "FILE"},
	{1 << 2, "FIXED_FILE"},
	{1 << 3, "FIXED_BUFFER"},
	{1 << 4, "TW"},
	{1 << 5, "CQE32"},
	{0},
};
static const struct flag install_flags[] = {{1 << 0, "NO_CLOEXEC"}, {0}};
static const struct flag command_flags[] = {{1 << 0, "FIXED"}, {1 << 1, "MULTISHOT"}, {0}};
const struct flag cqe_flags[] = {
	{1 << 1, "MORE"},     {1 << 2, "SOCK_NONEMPTY"}, {1 << 3, "NOTIF"},
	{1 << 4, "BUF_MORE"}, {CQE_BIG, "CQE32"},	 {0},
};
const struct flag setup_flags[] = {
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
	{1 << 20, "SQ_REWIND"},	    {0},
};

const struct flag enter_flags[] = {
	{1 << 0, "GETEVENTS"},	 {1 << 1, "SQ_WAKEUP"},	      {1 << 2, "SQ_WAIT"},
	{1 << 3, "EXT_ARG"},	 {1 << 4, "REGISTERED_RING"}, {1 << 5, "ABS_TIMER"},
	{1 << 6, "EXT_ARG_REG"}, {1 << 7, "NO_IOWAIT"},	      {0},
};
const struct flag buffer_ring_flags[] = {{1 << 0, "MMAP"}, {1 << 1, "INC"}, {0}};

/* In the order of enum io_uring_op. */
static const struct operation operations[] = {
	{"nop", 0, NULL, nop_flags},
	{"readv", FD | VECTORS | ADDRESS | OFFSET, NULL, read_write_flags},
	{"writev", FD | VECTORS | ADDRESS | OFFSET, NULL, read_write_flags},
	{"fsync", FD, NULL, fsync_flags},
	{"read_fixed", FD | LENGTH | ADDRESS | OFFSET | BUFFER, NULL, read_write_flags},
	{"write_fixed", FD | LENGTH | ADDRESS | OFFSET | BUFFER, NULL, read_write_flags},
	{"poll_add", FD, NULL, NULL},
	{"poll_remove", 0, NULL, NULL},
	{"sync_file_range", FD | LENGTH | OFFSET, NULL, NULL},
	{"sendmsg", FD | MESSAGE, transfer_ioprio_flags, message_flags},
	{"recvmsg", FD | MESSAGE, transfer_ioprio_flags, message_flags},
	{"timeout", 0, NULL, timeout_flags},
	{"timeout_remove", 0, NULL, timeout_flags},
	{"accept", FD | INTO, accept_ioprio_flags, socket_flags},
	{"async_cancel", 0, NULL, cancel_flags},
	{"link_timeout", 0, NULL, timeout_flags},
	{"connect", FD | SOCKET, NULL, NULL},
	{"fallocate", FD | OFFSET, NULL, NULL},
	{"openat", PATH | INTO, NULL, open_flags},
	{"close", 0, NULL, NULL},
	{"files_update", 0, NULL, NULL},
	{"statx", PATH, NULL, NULL},
	{"read", FD | LENGTH | ADDRESS | OFFSET, NULL, read_write_flags},
	{"write", FD | LENGTH | ADDRESS | OFFSET, NULL, read_write_flags},
	{"fadvise", FD | LENGTH | OFFSET, NULL, NULL},
	{"madvise", LENGTH | ADDRESS, NULL, NULL},
	{"send", FD | LENGTH | ADDRESS, transfer_ioprio_flags, message_flags},
	{"recv", FD | LENGTH | ADDRESS, transfer_ioprio_flags, message_flags},
	{"openat2", PATH | INTO, NULL, NULL},
	{"epoll_ctl", FD, NULL, NULL},
	{"splice", FD, NULL, splice_flags},
	{"provide_buffers", 0, NULL, NULL},
	{"remove_buffers", 0, NULL, NULL},
	{"tee", FD, NULL, splice_flags},
	{"shutdown", FD, NULL, NULL},
	{"renameat", PATH, NULL, NULL},
	{"unlinkat", PATH, NULL, NULL},
	{"mkdirat", PATH, NULL, NULL},
	{"symlinkat", PATH, NULL, NULL},
	{"linkat", PATH, NULL, NULL},
	{"msg_ring", FD, NULL, message_ring_flags},
	{"fsetxattr", FD | NAME, NULL, NULL},
	{"setxattr", NAME, NULL, NULL},
	{"fgetxattr", FD | NAME, NULL, NULL},
	{"getxattr", NAME, NULL, NULL},
	{"socket", 0, NULL, NULL},
	{"uring_cmd", FD, NULL, command_flags},
	{"send_zc", FD | LENGTH | ADDRESS, transfer_ioprio_flags, message_flags},
	{"sendmsg_zc", FD | MESSAGE, transfer_ioprio_flags, message_flags},
	{"read_multishot", FD | LENGTH, NULL, read_write_flags},
	{"waitid", 0, NULL, NULL},
	{"futex_wait", ADDRESS, NULL, NULL},
	{"futex_wake", ADDRESS, NULL, NULL},
	{"futex_waitv", ADDRESS, NULL, NULL},
	{"fixed_fd_install", FD, NULL, install_flags},
	{"ftruncate", FD | OFFSET, NULL, NULL},
	{"bind", FD | SOCKET, NULL, NULL},
	{"listen", FD, NULL, NULL},
	{"recv_zc", FD | LENGTH, transfer_ioprio_flags, NULL},
	{"epoll_wait", FD | ADDRESS, NULL, NULL},
	{"readv_fixed", FD | VECTORS | ADDRESS | OFFSET | BUFFER, NULL, read_write_flags},
	{"writev_fixed", FD | VECTORS | ADDRESS | OFFSET | BUFFER, NULL, read_write_flags},
	{"pipe", INTO, NULL, open_flags},
	{"nop128", 0, NULL, nop_flags},
	{"uring_cmd128", FD, NULL, command_flags},
};

const struct operation *operation(unsigned opcode)
{
	return opcode < COUNT(operations) ? &operations[opcode] : NULL;
}

const char *operation_name(unsigned opcode)
{
	static char number[16];

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

bool is_send(unsigned opcode)
{
	return opcode == IORING_OP_SEND || opcode == IORING_OP_SENDMSG ||
	       opcode == IORING_OP_SEND_ZC || opcode == IORING_OP_SENDMSG_ZC;
}

bool is_receive(unsigned opcode)
{
	return opcode == IORING_OP_RECV || opcode == IORING_OP_RECVMSG || opcode == OP_RECV_ZC;
}

bool is_bundle(const struct io_uring_sqe *sqe)
{
	return (is_send(sqe->opcode) || is_receive(sqe->opcode)) && sqe->ioprio & TRANSFER_BUNDLE;
}

bool points_to_vectors(const struct io_uring_sqe *sqe)
{
	const struct operation *known = operation(sqe->opcode);

	return known && (known->fields & (VECTORS | MESSAGE) ||
			 (is_send(sqe->opcode) && sqe->ioprio & SEND_VECTORIZED));
}

bool gives_descriptor(unsigned opcode)
{
	return opcode == IORING_OP_ACCEPT || opcode == IORING_OP_OPENAT ||
	       opcode == IORING_OP_OPENAT2 || opcode == IORING_OP_SOCKET;
}

#define CALL_TEXTS(name, arguments) {#name, arguments},
static const struct {
	const char *name, *arguments;
} calls[] = {CALLS(CALL_TEXTS)};

const char *call_name(enum call_id id)
{
	return calls[id].name;
}

const char *call_format(enum call_id id)
{
	return calls[id].arguments;
}

static const char *const register_names[] = {
	"BUFFERS",
	"UNREGISTER_BUFFERS",
	"FILES",
	"UNREGISTER_FILES",
	"EVENTFD",
	"UNREGISTER_EVENTFD",
	"FILES_UPDATE",
	"EVENTFD_ASYNC",
	"PROBE",
	"PERSONALITY",
	"UNREGISTER_PERSONALITY",
	"RESTRICTIONS",
	"ENABLE_RINGS",
	"FILES2",
	"FILES_UPDATE2",
	"BUFFERS2",
	"BUFFERS_UPDATE",
	"IOWQ_AFF",
	"UNREGISTER_IOWQ_AFF",
	"IOWQ_MAX_WORKERS",
	"RING_FDS",
	"UNREGISTER_RING_FDS",
	"PBUF_RING",
	"UNREGISTER_PBUF_RING",
	"SYNC_CANCEL",
	"FILE_ALLOC_RANGE",
	"PBUF_STATUS",
	"NAPI",
	"UNREGISTER_NAPI",
	"CLOCK",
	"CLONE_BUFFERS",
	"SEND_MSG_RING",
	"ZCRX_IFQ",
	"RESIZE_RINGS",
	"MEM_REGION",
	"QUERY",
	"ZCRX_CTRL",
	"BPF_FILTER",
};

const char *register_name(unsigned opcode)
{
	return opcode < COUNT(register_names) ? register_names[opcode] : NULL;
}
