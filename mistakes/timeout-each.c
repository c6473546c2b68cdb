/*
 * The more clients are connected, the longer each message takes: every connection has a timeout,
 * and each message moves it. The kernel looks for a timeout by its user_data, one by one through
 * all of them. One timeout, for the connection that has been silent for longest, needs no moving.
 */
#include "mistakes/mistake.h"

#define FEW	 10
#define MANY	 4000
#define MESSAGES 2000
#define ENTRIES	 64

static const struct __kernel_timespec idle = {.tv_sec = 60};

static struct io_uring_sqe *next_sqe(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (sqe)
		return sqe;
	submit(ring);
	return io_uring_get_sqe(ring);
}

static void prepare_timeouts(struct io_uring *ring, unsigned count)
{
	for (unsigned i = 1; i <= count; i++) {
		struct io_uring_sqe *sqe = next_sqe(ring);

		io_uring_prep_timeout(sqe, (struct __kernel_timespec *)&idle, 0, 0);
		io_uring_sqe_set_data64(sqe, i);
	}
	submit(ring);
}

/* What a message costs besides: the timeout of its connection begins again. */
static void move_timeout(struct io_uring *ring, unsigned connection)
{
	struct io_uring_sqe *sqe = next_sqe(ring);

	io_uring_prep_timeout_update(sqe, (struct __kernel_timespec *)&idle, connection, 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	io_uring_sqe_set_data64(sqe, 0);
	submit(ring);
}

/* The same where a list has the connections by their last activity: it is taken out and appended.
 */
static void move_in_list(unsigned *before, unsigned *after, unsigned connection)
{
	after[before[connection]] = after[connection];
	before[after[connection]] = before[connection];
	before[connection] = before[0];
	after[connection] = 0;
	after[before[0]] = connection;
	before[0] = connection;
}

static long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* The processor time of MESSAGES messages beside so many connections. */
static long long cost_of(unsigned connections)
{
	unsigned before[MANY + 1], after[MANY + 1];
	struct io_uring ring;
	long long begin_ns;

	open_ring(&ring, ENTRIES, 0);
	prepare_timeouts(&ring, fixed ? 1 : connections);
	for (unsigned i = 0; i <= connections; i++) {
		before[i] = i == 0 ? connections : i - 1;
		after[i] = i == connections ? 0 : i + 1;
	}
	begin_ns = now_ns();
	for (unsigned i = 0; i < MESSAGES; i++) {
		if (fixed)
			move_in_list(before, after, 1 + i * 7 % connections);
		else
			move_timeout(&ring, 1 + i * 7 % connections);
	}
	begin_ns = now_ns() - begin_ns;
	io_uring_queue_exit(&ring);
	return begin_ns > 0 ? begin_ns : 1;
}

int main(int argc, char **argv)
{
	long long few, many;

	begin(argc, argv);
	few = cost_of(FEW);
	many = cost_of(MANY);
	printf("beside %d connections a message costs %s than beside %d\n", MANY,
	       many > 4 * few ? "many times more" : "hardly more", FEW);
	if (fixed)
		return shown(many < 4 * few || many < 1000LL * MESSAGES,
			     "to move a connection in a list costs the same in any list");
	return shown(many > 4 * few, "the kernel looks through all timeouts for the one to move");
}
