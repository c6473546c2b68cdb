/*
 * One fault in a program's use of its ring: preloaded, this library stands between the program and
 * liburing. What it changes is a request before the kernel sees it, so that the error is one that
 * the kernel reports of a request that has done nothing else; or a call, which then does nothing.
 *
 *   INJECT=PLACE:FAULT:N, where PLACE is
 *     an operation    in its N-th request (0: in each) FAULT happens: an error, such as EMFILE;
 *                     "single": the request is no multishot one, and a kernel thread works on it;
 *                     "short": it is for one byte;
 *     submit, submit_and_wait or get_cqe (the inline io_uring_wait_cqe() and io_uring_peek_cqe()
 *                     call it)   the N-th call fails with FAULT;
 *     threads         after its N-th submit_and_wait, a thread is late: the main one never, the
 *                     next one that comes here by FAULT ms, the one after it by twice that ...;
 *     completions     at the N-th submit_and_wait one more of them is "lost", as the kernel counts;
 *     features        the N-th ring has those that FAULT names, in hexadecimal, and no others.
 *   INJECT_ALSO=PLACE:FAULT:N is a second one. INJECTED=FILE is created when one has happened.
 *
 * Needs: Linux 6.10, whose NOP fails as it is told.
 * Run:   make test-programs
 *        INJECT=RECV:EINTR:2 INJECTED=done LD_PRELOAD=build/tests/inject.so ./day05/echo
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOP_INJECT_RESULT 1U /* IORING_NOP_INJECT_RESULT; liburing 2.3 has no name for it */
#define MOST_ERRORS	  134

static const struct {
	const char *name;
	unsigned opcode;
} operations[] = {
	{"POLL_ADD", IORING_OP_POLL_ADD},   {"ACCEPT", IORING_OP_ACCEPT},
	{"CLOSE", IORING_OP_CLOSE},	    {"READ", IORING_OP_READ},
	{"WRITE", IORING_OP_WRITE},	    {"SEND", IORING_OP_SEND},
	{"RECV", IORING_OP_RECV},	    {"OPENAT", IORING_OP_OPENAT},
	{"SHUTDOWN", IORING_OP_SHUTDOWN},   {"TIMEOUT", IORING_OP_TIMEOUT},
	{"CANCEL", IORING_OP_ASYNC_CANCEL}, {"MSG_RING", IORING_OP_MSG_RING},
	{"OPENAT2", IORING_OP_OPENAT2},
};
#define OPERATIONS (sizeof(operations) / sizeof(operations[0]))

static struct fault {
	char place[32], fault[32];
	unsigned number, seen;
} faults[2];
static const char *fault; /* of the one that is due */

__attribute__((noreturn)) static void refuse(const char *reason)
{
	fprintf(stderr, "inject: %s\n", reason);
	abort();
}

static void read_fault(const char *variable, struct fault *into)
{
	const char *text = getenv(variable);

	if (text &&
	    sscanf(text, "%31[^:]:%31[^:]:%u", into->place, into->fault, &into->number) != 3)
		refuse("INJECT is not PLACE:FAULT:N");
}

__attribute__((constructor)) static void read_environment(void)
{
	read_fault("INJECT", &faults[0]);
	read_fault("INJECT_ALSO", &faults[1]);
}

static void leave_sign(void)
{
	const char *sign = getenv("INJECTED");

	if (sign)
		close(creat(sign, 0666));
}

/* Whether what happens at the place `name` now is to be a fault. */
static bool is_due(const char *name)
{
	for (struct fault *f = faults; f < faults + 2; f++) {
		if (strcmp(name, f->place) != 0 || (++f->seen != f->number && f->number != 0))
			continue;
		fault = f->fault;
		leave_sign();
		return true;
	}
	return false;
}

static int fault_as_result(void)
{
	for (int error = 1; error < MOST_ERRORS; error++)
		if (strerrorname_np(error) && strcmp(strerrorname_np(error), fault) == 0)
			return -error;
	refuse("FAULT is not the name of an error");
}

static void change(struct io_uring_sqe *sqe)
{
	if (strcmp(fault, "single") == 0) {
		sqe->ioprio = 0; /* neither IORING_ACCEPT_MULTISHOT nor IORING_RECV_MULTISHOT */
		sqe->flags |= IOSQE_ASYNC;
		return;
	}
	if (strcmp(fault, "short") == 0) {
		sqe->len = 1;
		return;
	}
	*sqe = (struct io_uring_sqe){
		.opcode = IORING_OP_NOP,
		.rw_flags = NOP_INJECT_RESULT,
		.len = (unsigned)fault_as_result(),
		.user_data = sqe->user_data,
	};
}

static void change_prepared(struct io_uring *ring)
{
	const struct io_uring_sq *sq = &ring->sq;
	struct io_uring_sqe *sqe;

	for (unsigned i = sq->sqe_head; i != sq->sqe_tail; i++) {
		sqe = &sq->sqes[i & *sq->kring_mask];
		for (size_t o = 0; o < OPERATIONS; o++)
			if (sqe->opcode == operations[o].opcode && is_due(operations[o].name))
				change(sqe);
	}
}

/* liburing's own function. */
#define NEXT(function) ((__typeof__(&(function)))dlsym(RTLD_NEXT, #function))

int io_uring_submit(struct io_uring *ring)
{
	change_prepared(ring);
	return is_due("submit") ? fault_as_result() : NEXT(io_uring_submit)(ring);
}

static void be_late(void)
{
	static atomic_uint threads;
	static _Thread_local unsigned number;

	if (gettid() == getpid())
		return;
	if (number == 0)
		number = ++threads;
	usleep(number * 1000 * (unsigned)strtoul(fault, NULL, 10));
}

int io_uring_submit_and_wait(struct io_uring *ring, unsigned wait_nr)
{
	int result;

	change_prepared(ring);
	if (is_due("completions"))
		++*ring->cq.koverflow;
	result = is_due("submit_and_wait") ? fault_as_result()
					   : NEXT(io_uring_submit_and_wait)(ring, wait_nr);
	if (is_due("threads"))
		be_late();
	return result;
}

int __io_uring_get_cqe(struct io_uring *ring, struct io_uring_cqe **cqe_ptr, unsigned submit,
		       unsigned wait_nr, sigset_t *sigmask)
{
	return is_due("get_cqe")
		       ? fault_as_result()
		       : NEXT(__io_uring_get_cqe)(ring, cqe_ptr, submit, wait_nr, sigmask);
}

int io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *p)
{
	int result = NEXT(io_uring_queue_init_params)(entries, ring, p);

	if (result == 0 && is_due("features"))
		ring->features = (unsigned)strtoul(fault, NULL, 16);
	/*
	 * Since liburing 2.15 io_uring_peek_cqe() calls __io_uring_get_cqe() only where the kernel
	 * may have something to hand over, which of such a ring is never certain.
	 */
	if (result == 0 && strcmp(faults[0].place, "get_cqe") == 0)
		ring->flags |= IORING_SETUP_IOPOLL;
	return result;
}
