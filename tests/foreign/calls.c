/*
 * For the tests of ringtrace: calls, operations and fields that no day uses.
 *
 * Run: build/tests/foreign/calls [operations]
 * With `operations`, each operation is tried once, in vain. Prints how ringtrace has to show it.
 */
#include <arpa/inet.h>
#include <error.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define NOWHERE 8 /* an address where nothing is */

static struct io_uring ring, other;

/* What the system calls do without liburing's functions around them. */
static void enter(unsigned count)
{
	unsigned flags = IORING_ENTER_GETEVENTS;

	ring.sq.sqe_head = ring.sq.sqe_tail;
	*ring.sq.ktail = ring.sq.sqe_tail;
	printf("%d\n", io_uring_enter((unsigned)ring.ring_fd, count, count, flags, NULL));
	io_uring_cq_advance(&ring, io_uring_cq_ready(&ring));
}

/* None of them succeeds, or does anything: the descriptors are not open, the pointers lead nowhere.
 */
static void try_operations(void)
{
	static const char path[] = "/no/such/\033";
	static const char other_path[] = "/no/other";
	static const char attribute[] = "user.name";
	const struct __kernel_timespec soon = {.tv_nsec = 1000};
	const struct sockaddr_in6 address6 = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(9),
		.sin6_addr = IN6ADDR_LOOPBACK_INIT,
	};
	const struct {
		const char *line;
		struct io_uring_sqe sqe;
	} table[] = {
		{"nop       INJECT_RESULT", {.opcode = IORING_OP_NOP, .rw_flags = 1}},
		{"readv    fd -1 iov 2 (not readable) offset 5  RWF_NOWAIT",
		 {.opcode = IORING_OP_READV,
		  .fd = -1,
		  .addr = NOWHERE,
		  .len = 2,
		  .off = 5,
		  .rw_flags = RWF_NOWAIT}},
		{"writev   slot 3 iov 2 (not readable) at the file's position  FIXED_FILE",
		 {.opcode = IORING_OP_WRITEV,
		  .flags = IOSQE_FIXED_FILE,
		  .fd = 3,
		  .addr = NOWHERE,
		  .len = 2,
		  .off = UINT64_MAX}},
		{"fsync    fd -1  DATASYNC",
		 {.opcode = IORING_OP_FSYNC, .fd = -1, .fsync_flags = IORING_FSYNC_DATASYNC}},
		{"read_fixed fd -1 len 16 addr 0x8 registered buffer 3 offset 0",
		 {.opcode = IORING_OP_READ_FIXED,
		  .fd = -1,
		  .addr = NOWHERE,
		  .len = 16,
		  .buf_index = 3}},
		{"write_fixed fd -1 len 16 addr 0x8 registered buffer 3 offset 0  RWF_DSYNC",
		 {.opcode = IORING_OP_WRITE_FIXED,
		  .fd = -1,
		  .addr = NOWHERE,
		  .len = 16,
		  .buf_index = 3,
		  .rw_flags = RWF_DSYNC}},
		{"poll_add fd -1 for POLLIN|POLLRDHUP  MULTISHOT|LEVEL",
		 {.opcode = IORING_OP_POLL_ADD,
		  .fd = -1,
		  .len = IORING_POLL_ADD_MULTI | 1 << 3,
		  .poll32_events = POLLIN | POLLRDHUP}},
		{"poll_remove the request with user_data 0x99",
		 {.opcode = IORING_OP_POLL_REMOVE, .fd = -1, .addr = 0x99}},
		{"poll_remove the request with user_data 0x99 to POLLOUT to user_data 0x9a  UPDATE_EVENTS|UPDATE_USER_DATA",
		 {.opcode = IORING_OP_POLL_REMOVE,
		  .fd = -1,
		  .addr = 0x99,
		  .off = 0x9a,
		  .len = IORING_POLL_UPDATE_EVENTS | IORING_POLL_UPDATE_USER_DATA,
		  .poll32_events = POLLOUT}},
		{"sync_file_range fd -1 len 10 offset 4",
		 {.opcode = IORING_OP_SYNC_FILE_RANGE, .fd = -1, .len = 10, .off = 4}},
		{"sendmsg  fd -1 message at 0x8  POLL_FIRST  MSG_DONTWAIT|MSG_MORE",
		 {.opcode = IORING_OP_SENDMSG,
		  .ioprio = IORING_RECVSEND_POLL_FIRST,
		  .fd = -1,
		  .addr = NOWHERE,
		  .msg_flags = MSG_DONTWAIT | MSG_MORE}},
		{"recvmsg  fd -1 message at 0x8 group 7  BUFFER_SELECT  MULTISHOT  MSG_TRUNC",
		 {.opcode = IORING_OP_RECVMSG,
		  .flags = IOSQE_BUFFER_SELECT,
		  .ioprio = IORING_RECV_MULTISHOT,
		  .fd = -1,
		  .addr = NOWHERE,
		  .buf_group = 7,
		  .msg_flags = MSG_TRUNC}},
		{"timeout  0.000001 s or 5 completions  BOOTTIME|ETIME_SUCCESS",
		 {.opcode = IORING_OP_TIMEOUT,
		  .fd = -1,
		  .addr = (uintptr_t)&soon,
		  .len = 1,
		  .off = 5,
		  .timeout_flags = IORING_TIMEOUT_BOOTTIME | IORING_TIMEOUT_ETIME_SUCCESS}},
		{"timeout  at 0.000001 s  ABS",
		 {.opcode = IORING_OP_TIMEOUT,
		  .fd = -1,
		  .addr = (uintptr_t)&soon,
		  .len = 1,
		  .timeout_flags = IORING_TIMEOUT_ABS}},
		{"timeout  timespec at 0x8",
		 {.opcode = IORING_OP_TIMEOUT, .fd = -1, .addr = NOWHERE, .len = 1}},
		{"timeout_remove the request with user_data 0x99",
		 {.opcode = IORING_OP_TIMEOUT_REMOVE, .fd = -1, .addr = 0x99}},
		{"timeout_remove the request with user_data 0x99 to 0.000001 s  UPDATE",
		 {.opcode = IORING_OP_TIMEOUT_REMOVE,
		  .fd = -1,
		  .addr = 0x99,
		  .off = (uintptr_t)&soon,
		  .timeout_flags = IORING_TIMEOUT_UPDATE}},
		{"accept   fd -1 into slot 3  DONTWAIT  SOCK_NONBLOCK",
		 {.opcode = IORING_OP_ACCEPT,
		  .ioprio = 1 << 1,
		  .fd = -1,
		  .file_index = 4,
		  .accept_flags = SOCK_NONBLOCK}},
		{"async_cancel the request with user_data 0x99  ALL",
		 {.opcode = IORING_OP_ASYNC_CANCEL,
		  .fd = -1,
		  .addr = 0x99,
		  .cancel_flags = IORING_ASYNC_CANCEL_ALL}},
		{"async_cancel of fd 99  FD",
		 {.opcode = IORING_OP_ASYNC_CANCEL,
		  .fd = 99,
		  .cancel_flags = IORING_ASYNC_CANCEL_FD}},
		{"async_cancel of slot 99  FD|FD_FIXED",
		 {.opcode = IORING_OP_ASYNC_CANCEL,
		  .fd = 99,
		  .cancel_flags = IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_FD_FIXED}},
		{"async_cancel any request  ANY",
		 {.opcode = IORING_OP_ASYNC_CANCEL,
		  .fd = -1,
		  .cancel_flags = IORING_ASYNC_CANCEL_ANY}},
		{"link_timeout 0.000001 s for the SQE before it",
		 {.opcode = IORING_OP_LINK_TIMEOUT, .fd = -1, .addr = (uintptr_t)&soon, .len = 1}},
		{"connect  fd -1 [::1]:9",
		 {.opcode = IORING_OP_CONNECT,
		  .fd = -1,
		  .addr = (uintptr_t)&address6,
		  .off = sizeof(address6)}},
		{"connect  fd -1 address of len 2 at 0x8",
		 {.opcode = IORING_OP_CONNECT, .fd = -1, .addr = NOWHERE, .off = 2}},
		{"fallocate fd -1 offset 7", {.opcode = IORING_OP_FALLOCATE, .fd = -1, .off = 7}},
		{"openat   cwd '/no/such/?' into slot 3 mode 0640  O_WRONLY|O_CREAT",
		 {.opcode = IORING_OP_OPENAT,
		  .fd = AT_FDCWD,
		  .addr = (uintptr_t)path,
		  .len = 0640,
		  .file_index = 4,
		  .open_flags = O_WRONLY | O_CREAT}},
		{"openat   fd 99 path at 0x8  O_DIRECTORY|O_CLOEXEC",
		 {.opcode = IORING_OP_OPENAT,
		  .fd = 99,
		  .addr = NOWHERE,
		  .open_flags = O_DIRECTORY | O_CLOEXEC}},
		{"close    fd -1", {.opcode = IORING_OP_CLOSE, .fd = -1}},
		{"close    slot 3", {.opcode = IORING_OP_CLOSE, .file_index = 4}},
		{"files_update 2 slots from slot 3",
		 {.opcode = IORING_OP_FILES_UPDATE, .fd = -1, .addr = NOWHERE, .len = 2, .off = 3}},
		{"files_update 2 descriptors into any free slots",
		 {.opcode = IORING_OP_FILES_UPDATE,
		  .fd = -1,
		  .addr = NOWHERE,
		  .len = 2,
		  .off = UINT32_MAX}},
		{"statx    cwd '/no/such/?'",
		 {.opcode = IORING_OP_STATX,
		  .fd = AT_FDCWD,
		  .addr = (uintptr_t)path,
		  .off = NOWHERE}},
		{"read     fd -1 len 16 offset 5 group 7  BUFFER_SELECT",
		 {.opcode = IORING_OP_READ,
		  .flags = IOSQE_BUFFER_SELECT,
		  .fd = -1,
		  .len = 16,
		  .off = 5,
		  .buf_group = 7}},
		{"write    fd -1 len 16 addr 0x8 offset 5  ASYNC  RWF_APPEND",
		 {.opcode = IORING_OP_WRITE,
		  .flags = IOSQE_ASYNC,
		  .fd = -1,
		  .addr = NOWHERE,
		  .len = 16,
		  .off = 5,
		  .rw_flags = RWF_APPEND}},
		{"fadvise  fd -1 len 10 offset 4",
		 {.opcode = IORING_OP_FADVISE, .fd = -1, .len = 10, .off = 4}},
		{"madvise  len 10 addr 0x8",
		 {.opcode = IORING_OP_MADVISE, .fd = -1, .addr = NOWHERE, .len = 10}},
		{"send     fd -1 len 5 addr 0x8  MSG_DONTROUTE|MSG_NOSIGNAL",
		 {.opcode = IORING_OP_SEND,
		  .fd = -1,
		  .addr = NOWHERE,
		  .len = 5,
		  .msg_flags = MSG_DONTROUTE | MSG_NOSIGNAL}},
		{"recv     fd -1 len 5 addr 0x8  POLL_FIRST  MSG_PEEK|MSG_WAITALL|0x80000000",
		 {.opcode = IORING_OP_RECV,
		  .ioprio = IORING_RECVSEND_POLL_FIRST,
		  .fd = -1,
		  .addr = NOWHERE,
		  .len = 5,
		  .msg_flags = MSG_PEEK | MSG_WAITALL | 1U << 31}},
		{"openat2  cwd '/no/such/?' into any free slot",
		 {.opcode = IORING_OP_OPENAT2,
		  .fd = AT_FDCWD,
		  .addr = (uintptr_t)path,
		  .off = NOWHERE,
		  .len = 24,
		  .file_index = UINT32_MAX}},
		{"epoll_ctl fd -1", {.opcode = IORING_OP_EPOLL_CTL, .fd = -1, .addr = NOWHERE}},
		{"splice   fd -1 from slot 3 len 10  SPLICE_F_MOVE|FD_IN_FIXED",
		 {.opcode = IORING_OP_SPLICE,
		  .fd = -1,
		  .splice_fd_in = 3,
		  .len = 10,
		  .splice_flags = SPLICE_F_MOVE | SPLICE_F_FD_IN_FIXED}},
		{"provide_buffers 4 of len 16 from buffer 2, group 7, addr 0x8",
		 {.opcode = IORING_OP_PROVIDE_BUFFERS,
		  .fd = 4,
		  .addr = NOWHERE,
		  .len = 16,
		  .off = 2,
		  .buf_group = 7}},
		{"remove_buffers 4 of group 7",
		 {.opcode = IORING_OP_REMOVE_BUFFERS, .fd = 4, .buf_group = 7}},
		{"tee      fd -1 from fd 99 len 10",
		 {.opcode = IORING_OP_TEE, .fd = -1, .splice_fd_in = 99, .len = 10}},
		{"shutdown fd -1 SHUT_RDWR",
		 {.opcode = IORING_OP_SHUTDOWN, .fd = -1, .len = SHUT_RDWR}},
		{"shutdown fd -1 how 9", {.opcode = IORING_OP_SHUTDOWN, .fd = -1, .len = 9}},
		{"renameat cwd '/no/such/?' to fd 99 '/no/other'",
		 {.opcode = IORING_OP_RENAMEAT,
		  .fd = AT_FDCWD,
		  .addr = (uintptr_t)path,
		  .len = 99,
		  .off = (uintptr_t)other_path}},
		{"unlinkat cwd '/no/such/?'",
		 {.opcode = IORING_OP_UNLINKAT, .fd = AT_FDCWD, .addr = (uintptr_t)path}},
		{"mkdirat  cwd '/no/such/?' mode 0700",
		 {.opcode = IORING_OP_MKDIRAT,
		  .fd = AT_FDCWD,
		  .addr = (uintptr_t)path,
		  .len = 0700}},
		{"symlinkat cwd '/no/such/?' to '/no/other'",
		 {.opcode = IORING_OP_SYMLINKAT,
		  .fd = AT_FDCWD,
		  .addr = (uintptr_t)path,
		  .off = (uintptr_t)other_path}},
		{"linkat   fd 99 '/no/such/?' to cwd '/no/other'",
		 {.opcode = IORING_OP_LINKAT,
		  .fd = 99,
		  .addr = (uintptr_t)path,
		  .len = (unsigned)AT_FDCWD,
		  .off = (uintptr_t)other_path}},
		{"msg_ring fd -1 is the ring to tell: a slot with user_data 0xabc  CQE_SKIP",
		 {.opcode = IORING_OP_MSG_RING,
		  .fd = -1,
		  .addr = IORING_MSG_SEND_FD,
		  .off = 0xabc,
		  .msg_ring_flags = IORING_MSG_RING_CQE_SKIP}},
		{"fsetxattr fd -1 'user.name'",
		 {.opcode = IORING_OP_FSETXATTR,
		  .fd = -1,
		  .addr = (uintptr_t)attribute,
		  .off = NOWHERE}},
		{"setxattr 'user.name'",
		 {.opcode = IORING_OP_SETXATTR,
		  .fd = -1,
		  .addr = (uintptr_t)attribute,
		  .off = NOWHERE,
		  .addr3 = (uintptr_t)path}},
		{"fgetxattr fd -1 'user.name'",
		 {.opcode = IORING_OP_FGETXATTR,
		  .fd = -1,
		  .addr = (uintptr_t)attribute,
		  .off = NOWHERE}},
		{"getxattr 'user.name'",
		 {.opcode = IORING_OP_GETXATTR,
		  .fd = -1,
		  .addr = (uintptr_t)attribute,
		  .off = NOWHERE,
		  .addr3 = (uintptr_t)path}},
		{"socket   domain 2 type 1 protocol 6 into slot 3",
		 {.opcode = IORING_OP_SOCKET,
		  .fd = AF_INET,
		  .off = SOCK_STREAM,
		  .len = IPPROTO_TCP,
		  .file_index = 4}},
		{"uring_cmd fd -1 SIOCOUTQ",
		 {.opcode = IORING_OP_URING_CMD, .fd = -1, .cmd_op = 1}},
		{"uring_cmd fd -1 GETSOCKOPT level 1 option 7",
		 {.opcode = IORING_OP_URING_CMD,
		  .fd = -1,
		  .cmd_op = 2,
		  .addr = SOL_SOCKET | (uint64_t)SO_SNDBUF << 32}},
		{"uring_cmd fd -1 command 0x5401 registered buffer 3  FIXED",
		 {.opcode = IORING_OP_URING_CMD,
		  .fd = -1,
		  .cmd_op = 0x5401,
		  .uring_cmd_flags = 1,
		  .buf_index = 3}},
		{"send_zc  fd -1 len 5 addr 0x8 registered buffer 2  POLL_FIRST|FIXED_BUF",
		 {.opcode = IORING_OP_SEND_ZC,
		  .ioprio = IORING_RECVSEND_POLL_FIRST | IORING_RECVSEND_FIXED_BUF,
		  .fd = -1,
		  .addr = NOWHERE,
		  .len = 5,
		  .buf_index = 2}},
		{"sendmsg_zc fd -1 message at 0x8",
		 {.opcode = IORING_OP_SENDMSG_ZC, .fd = -1, .addr = NOWHERE}},
		{"read_multishot fd -1 len 0 group 7  BUFFER_SELECT",
		 {.opcode = 49, .flags = IOSQE_BUFFER_SELECT, .fd = -1, .buf_group = 7}},
		{"waitid  ", {.opcode = 50, .fd = -1, .len = 99}},
		{"futex_wait addr 0x8", {.opcode = 51, .fd = -1, .addr = NOWHERE}},
		{"futex_wake addr 0x8", {.opcode = 52, .fd = -1, .addr = NOWHERE}},
		{"futex_waitv addr 0x8", {.opcode = 53, .fd = -1, .addr = NOWHERE}},
		{"fixed_fd_install slot 3  FIXED_FILE  NO_CLOEXEC",
		 {.opcode = 54, .flags = IOSQE_FIXED_FILE, .fd = 3, .rw_flags = 1}},
		{"ftruncate fd -1 offset 4", {.opcode = 55, .fd = -1, .off = 4}},
		{"bind     fd -1 [::1]:9",
		 {.opcode = 56, .fd = -1, .addr = (uintptr_t)&address6, .off = sizeof(address6)}},
		{"listen   fd -1 backlog 5", {.opcode = 57, .fd = -1, .len = 5}},
		{"recv_zc  fd -1 len 0  MULTISHOT",
		 {.opcode = 58, .ioprio = IORING_RECV_MULTISHOT, .fd = -1}},
		{"epoll_wait fd -1 addr 0x8", {.opcode = 59, .fd = -1, .addr = NOWHERE, .len = 1}},
		{"readv_fixed fd -1 iov 2 (not readable) registered buffer 3 offset 5",
		 {.opcode = 60, .fd = -1, .addr = NOWHERE, .len = 2, .off = 5, .buf_index = 3}},
		{"writev_fixed fd -1 iov 2 (not readable) registered buffer 3 offset 5",
		 {.opcode = 61, .fd = -1, .addr = NOWHERE, .len = 2, .off = 5, .buf_index = 3}},
		{"pipe     into slot 3  O_NONBLOCK",
		 {.opcode = 62,
		  .fd = -1,
		  .addr = NOWHERE,
		  .file_index = 4,
		  .rw_flags = O_NONBLOCK}},
		{"nop128    TW", {.opcode = 63, .fd = -1, .rw_flags = 1 << 4}},
		{"uring_cmd128 fd -1 command 0x5401  MULTISHOT",
		 {.opcode = 64, .fd = -1, .cmd_op = 0x5401, .uring_cmd_flags = 2}},
		{"op 200   fd -1 len 1 addr 0x8 off 0x9",
		 {.opcode = 200, .fd = -1, .len = 1, .addr = NOWHERE, .off = 9}},
	};
	struct io_uring_sqe *sqe;
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		sqe = io_uring_get_sqe(&ring);
		*sqe = table[i].sqe;
		sqe->user_data = i + 1;
		printf("%s  user_data 0x%zx\n", table[i].line, i + 1);
		io_uring_submit_and_wait(&ring, 1);
		io_uring_cq_advance(&ring, io_uring_cq_ready(&ring));
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(9),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct iovec vectors[2] = {{.iov_base = &address, .iov_len = 3},
				   {.iov_base = &address, .iov_len = 4}};
	struct io_uring_sqe *sqe;
	int fd;

	if (io_uring_queue_init(8, &ring, 0) < 0 || io_uring_queue_init(8, &other, 0) < 0)
		error(EXIT_FAILURE, 0, "io_uring_queue_init");
	if (argc > 1 && strcmp(argv[1], "operations") == 0) {
		try_operations();
		return EXIT_SUCCESS;
	}
	printf("%d\n",
	       io_uring_register((unsigned)ring.ring_fd, IORING_REGISTER_PERSONALITY, NULL, 0) > 0);
	fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	io_uring_prep_writev(io_uring_get_sqe(&ring), fd, vectors, 2, 0);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_linkat(sqe, AT_FDCWD, "/no/such/file", AT_FDCWD, "/no/such/link", 0);
	sqe->personality = 1;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_connect(sqe, fd, (struct sockaddr *)&address, sizeof(address));
	io_uring_prep_msg_ring(io_uring_get_sqe(&ring), other.ring_fd, 12, 0xabc, 0);
	enter(4);
	io_uring_get_events(&other);
	io_uring_queue_exit(&other);
	io_uring_queue_exit(&ring);
	return EXIT_SUCCESS;
}
