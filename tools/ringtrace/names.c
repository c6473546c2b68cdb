/*
 * ringtrace: the names that names.h promises.
 */
#include "tools/ringtrace/names.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const char sqe_flags[] = "FIXED_FILE DRAIN LINK HARDLINK ASYNC BUFFER_SELECT CQE_SKIP_SUCCESS";
static const char transfer_ioprio_flags[] =
	"POLL_FIRST MULTISHOT FIXED_BUF ZC_REPORT_USAGE BUNDLE SEND_VECTORIZED";
static const char message_flags[] =
	"MSG_OOB MSG_PEEK MSG_DONTROUTE - - MSG_TRUNC MSG_DONTWAIT MSG_EOR MSG_WAITALL - "
	"- MSG_CONFIRM - MSG_ERRQUEUE MSG_NOSIGNAL MSG_MORE - - - - - - - - - - - - - - "
	"MSG_CMSG_CLOEXEC";
static const char socket_flags[] = "- - - - - - - - - - - SOCK_NONBLOCK - - - - - - - SOCK_CLOEXEC";
static const char read_write_flags[] =
	"RWF_HIPRI RWF_DSYNC RWF_SYNC RWF_NOWAIT RWF_APPEND RWF_NOAPPEND RWF_ATOMIC "
	"RWF_DONTCACHE";
static const char timeout_flags[] =
	"ABS UPDATE BOOTTIME REALTIME LINK_TIMEOUT_UPDATE ETIME_SUCCESS MULTISHOT "
	"IMMEDIATE_ARG";
static const char cancel_flags[] = "ALL FD ANY FD_FIXED USERDATA OP";
const char poll_command_flags[] = "MULTISHOT UPDATE_EVENTS UPDATE_USER_DATA LEVEL";
const char poll_events[] = "POLLIN POLLPRI POLLOUT POLLERR POLLHUP POLLNVAL POLLRDNORM POLLRDBAND "
			   "POLLWRNORM POLLWRBAND - - - POLLRDHUP - - - - - - - - - - - - - - "
			   "EPOLLEXCLUSIVE - - EPOLLET";
static const char open_flags[] =
	"O_WRONLY O_RDWR - - - - O_CREAT O_EXCL - O_TRUNC O_APPEND O_NONBLOCK - - "
#if O_DIRECTORY == 1 << 16
	"O_DIRECT - O_DIRECTORY O_NOFOLLOW "
#else
	"O_DIRECTORY O_NOFOLLOW O_DIRECT - "
#endif
	"- O_CLOEXEC - O_PATH";
static const char splice_flags[] =
	"SPLICE_F_MOVE SPLICE_F_NONBLOCK SPLICE_F_MORE - - - - - - - - - - - - - - - - - "
	"- - - - - - - - - - - FD_IN_FIXED";
static const char nop_flags[] = "INJECT_RESULT FILE FIXED_FILE FIXED_BUFFER TW CQE32";
static const char command_flags[] = "FIXED MULTISHOT";
const char shutdown_ways[] = "SHUT_RD SHUT_WR SHUT_RDWR";
const char socket_commands[] = "SIOCINQ SIOCOUTQ GETSOCKOPT SETSOCKOPT TX_TIMESTAMP GETSOCKNAME";
const char cqe_flags[] = "- MORE SOCK_NONEMPTY NOTIF BUF_MORE - - - - - - - - - - CQE32";
const char setup_flags[] =
	"IOPOLL SQPOLL SQ_AFF CQSIZE CLAMP ATTACH_WQ R_DISABLED SUBMIT_ALL COOP_TASKRUN "
	"TASKRUN_FLAG SQE128 CQE32 SINGLE_ISSUER DEFER_TASKRUN NO_MMAP "
	"REGISTERED_FD_ONLY NO_SQARRAY HYBRID_IOPOLL CQE_MIXED SQE_MIXED SQ_REWIND";

const char enter_flags[] =
	"GETEVENTS SQ_WAKEUP SQ_WAIT EXT_ARG REGISTERED_RING ABS_TIMER EXT_ARG_REG "
	"NO_IOWAIT";
const char buffer_ring_flags[] = "MMAP INC";

/* In the order of enum io_uring_op. */
static const struct operation operations[] = {
	{"nop", LOSES_NOTHING, NULL, nop_flags},
	{"readv", FD | VECTORS | ADDRESS | OFFSET | FILLS, NULL, read_write_flags},
	{"writev", FD | VECTORS | ADDRESS | OFFSET | EMPTIES, NULL, read_write_flags},
	{"fsync", FD, NULL, "DATASYNC"},
	{"read_fixed", FD | LENGTH | ADDRESS | OFFSET | BUFFER, NULL, read_write_flags},
	{"write_fixed", FD | LENGTH | ADDRESS | OFFSET | BUFFER | EMPTIES, NULL, read_write_flags},
	{"poll_add", FD | LOSES_NOTHING, NULL, NULL},
	{"poll_remove", LOSES_NOTHING, NULL, NULL},
	{"sync_file_range", FD | LENGTH | OFFSET, NULL, NULL},
	{"sendmsg", FD | MESSAGE | EMPTIES, transfer_ioprio_flags, message_flags},
	{"recvmsg", FD | MESSAGE | FILLS, transfer_ioprio_flags, message_flags},
	{"timeout", LOSES_NOTHING, NULL, timeout_flags},
	{"timeout_remove", LOSES_NOTHING, NULL, timeout_flags},
	{"accept", FD | INTO, "MULTISHOT DONTWAIT POLL_FIRST", socket_flags},
	{"async_cancel", LOSES_NOTHING, NULL, cancel_flags},
	{"link_timeout", LOSES_NOTHING, NULL, timeout_flags},
	{"connect", FD | SOCKET, NULL, NULL},
	{"fallocate", FD | OFFSET, NULL, NULL},
	{"openat", PATH | INTO, NULL, open_flags},
	{"close", 0, NULL, NULL},
	{"files_update", 0, NULL, NULL},
	{"statx", PATH, NULL, NULL},
	{"read", FD | LENGTH | ADDRESS | OFFSET | FILLS, NULL, read_write_flags},
	{"write", FD | LENGTH | ADDRESS | OFFSET | EMPTIES, NULL, read_write_flags},
	{"fadvise", FD | LENGTH | OFFSET, NULL, NULL},
	{"madvise", LENGTH | ADDRESS, NULL, NULL},
	{"send", FD | LENGTH | ADDRESS | EMPTIES, transfer_ioprio_flags, message_flags},
	{"recv", FD | LENGTH | ADDRESS | FILLS, transfer_ioprio_flags, message_flags},
	{"openat2", PATH | INTO, NULL, NULL},
	{"epoll_ctl", FD, NULL, NULL},
	{"splice", FD, NULL, splice_flags},
	{"provide_buffers", 0, NULL, NULL},
	{"remove_buffers", 0, NULL, NULL},
	{"tee", FD, NULL, splice_flags},
	{"shutdown", FD, NULL, NULL},
	{"renameat", PATH | SECOND_PATH, NULL, NULL},
	{"unlinkat", PATH, NULL, NULL},
	{"mkdirat", PATH, NULL, NULL},
	{"symlinkat", PATH | SECOND_PATH, NULL, NULL},
	{"linkat", PATH | SECOND_PATH, NULL, NULL},
	{"msg_ring", FD, NULL, "CQE_SKIP FLAGS_PASS"},
	{"fsetxattr", FD | NAME, NULL, NULL},
	{"setxattr", NAME, NULL, NULL},
	{"fgetxattr", FD | NAME, NULL, NULL},
	{"getxattr", NAME, NULL, NULL},
	{"socket", 0, NULL, NULL},
	{"uring_cmd", FD, NULL, command_flags},
	{"send_zc", FD | LENGTH | ADDRESS | EMPTIES, transfer_ioprio_flags, message_flags},
	{"sendmsg_zc", FD | MESSAGE | EMPTIES, transfer_ioprio_flags, message_flags},
	{"read_multishot", FD | LENGTH, NULL, read_write_flags},
	{"waitid", 0, NULL, NULL},
	{"futex_wait", ADDRESS, NULL, NULL},
	{"futex_wake", ADDRESS, NULL, NULL},
	{"futex_waitv", ADDRESS, NULL, NULL},
	{"fixed_fd_install", FD, NULL, "NO_CLOEXEC"},
	{"ftruncate", FD | OFFSET, NULL, NULL},
	{"bind", FD | SOCKET, NULL, NULL},
	{"listen", FD, NULL, NULL},
	{"recv_zc", FD | LENGTH, transfer_ioprio_flags, NULL},
	{"epoll_wait", FD | ADDRESS, NULL, NULL},
	{"readv_fixed", FD | VECTORS | ADDRESS | OFFSET | BUFFER, NULL, read_write_flags},
	{"writev_fixed", FD | VECTORS | ADDRESS | OFFSET | BUFFER | EMPTIES, NULL,
	 read_write_flags},
	{"pipe", INTO, NULL, open_flags},
	{"nop128", 0, NULL, nop_flags},
	{"uring_cmd128", FD, NULL, command_flags},
};

const struct operation *operation(unsigned opcode)
{
	return opcode < COUNT(operations) ? &operations[opcode] : NULL;
}

unsigned fields_of(unsigned opcode)
{
	return operation(opcode) ? operation(opcode)->fields : 0;
}

const char *operation_name(unsigned opcode)
{
	static char number[16];

	if (opcode < COUNT(operations))
		return operations[opcode].name;
	snprintf(number, sizeof(number), "op %u", opcode);
	return number;
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

bool sqe_is_multishot(const struct io_uring_sqe *sqe)
{
	switch (sqe->opcode) {
	case IORING_OP_ACCEPT: return sqe->ioprio & IORING_ACCEPT_MULTISHOT;
	case IORING_OP_RECV:
	case IORING_OP_RECVMSG: return sqe->ioprio & IORING_RECV_MULTISHOT;
	case IORING_OP_POLL_ADD: return sqe->len & IORING_POLL_ADD_MULTI;
	case IORING_OP_TIMEOUT: return sqe->timeout_flags & TIMEOUT_MULTISHOT;
	default: return sqe->opcode == OP_READ_MULTISHOT || sqe->opcode == OP_RECV_ZC;
	}
}

bool points_to_vectors(const struct io_uring_sqe *sqe)
{
	return fields_of(sqe->opcode) & (VECTORS | MESSAGE) ||
	       (is_send(sqe->opcode) && sqe->ioprio & SEND_VECTORIZED);
}

uint64_t time_address(const struct io_uring_sqe *sqe)
{
	switch (sqe->opcode) {
	case IORING_OP_TIMEOUT:
	case IORING_OP_LINK_TIMEOUT: return sqe->addr;
	case IORING_OP_TIMEOUT_REMOVE:
		return sqe->timeout_flags & IORING_TIMEOUT_UPDATE_MASK ? sqe->off : 0;
	default: return 0;
	}
}

bool gives_descriptor(unsigned opcode)
{
	return opcode == IORING_OP_ACCEPT || opcode == IORING_OP_OPENAT ||
	       opcode == IORING_OP_OPENAT2 || opcode == IORING_OP_SOCKET;
}

#define CALL_TEXTS(name, kind, arguments, ...) {#name, arguments},
#define OTHER_TEXTS(name, arguments)	       {#name, arguments},
static const struct {
	const char *name, *arguments;
} calls[] = {CALLS(CALL_TEXTS, OTHER_TEXTS)};

const char *call_name(enum call_id id)
{
	return calls[id].name;
}

const char *call_format(enum call_id id)
{
	return calls[id].arguments;
}

const char register_names[] =
	"BUFFERS UNREGISTER_BUFFERS FILES UNREGISTER_FILES EVENTFD UNREGISTER_EVENTFD "
	"FILES_UPDATE EVENTFD_ASYNC PROBE PERSONALITY UNREGISTER_PERSONALITY "
	"RESTRICTIONS ENABLE_RINGS FILES2 FILES_UPDATE2 BUFFERS2 BUFFERS_UPDATE IOWQ_AFF "
	"UNREGISTER_IOWQ_AFF IOWQ_MAX_WORKERS RING_FDS UNREGISTER_RING_FDS PBUF_RING "
	"UNREGISTER_PBUF_RING SYNC_CANCEL FILE_ALLOC_RANGE PBUF_STATUS NAPI "
	"UNREGISTER_NAPI CLOCK CLONE_BUFFERS SEND_MSG_RING ZCRX_IFQ RESIZE_RINGS "
	"MEM_REGION QUERY ZCRX_CTRL BPF_FILTER";

bool word_at(const char *words, unsigned place, char word[WORD_MOST])
{
	while (place-- > 0 && words)
		words = (words = strchr(words, ' ')) ? words + 1 : NULL;
	snprintf(word, WORD_MOST, "%.*s", words ? (int)strcspn(words, " ") : 0, words ? words : "");
	return *word && strcmp(word, "-") != 0;
}
