#include "common/deadlines.h"

#include "common/clock.h"
#include "common/memory.h"
#include "common/ring.h"

void deadlines_open(struct deadlines *deadlines, unsigned slots, unsigned limit_ms, __u64 user_data)
{
	slot_list_open(&deadlines->by_activity, slots);
	deadlines->active_ns = memory_map(slots, sizeof(deadlines->active_ns[0]));
	deadlines->limit_ns = limit_ms * NS_PER_MS;
	deadlines->user_data = user_data;
}

void deadlines_add(struct deadlines *deadlines, unsigned slot, long long now_ns)
{
	slot_list_append(&deadlines->by_activity, slot);
	deadlines->active_ns[slot] = now_ns;
}

void deadlines_renew(struct deadlines *deadlines, unsigned slot, long long now_ns)
{
	slot_list_remove(&deadlines->by_activity, slot);
	deadlines_add(deadlines, slot, now_ns);
}

void deadlines_remove(struct deadlines *deadlines, unsigned slot)
{
	slot_list_remove(&deadlines->by_activity, slot);
}

/* When the oldest will have been silent for the limit. */
static long long next_ns(const struct deadlines *deadlines, long long now_ns)
{
	unsigned oldest = slot_list_first(&deadlines->by_activity);

	if (oldest == deadlines->by_activity.none)
		return now_ns + deadlines->limit_ns;
	return deadlines->active_ns[oldest] + deadlines->limit_ns;
}

int deadlines_next_silent(const struct deadlines *deadlines, long long now_ns)
{
	if (next_ns(deadlines, now_ns) > now_ns)
		return -1;
	return (int)slot_list_first(&deadlines->by_activity);
}

void deadlines_prepare(struct deadlines *deadlines, struct io_uring *ring, long long now_ns)
{
	long long at_ns = next_ns(deadlines, now_ns);
	struct io_uring_sqe *sqe = ring_get_sqe(ring);

	deadlines->until = (struct __kernel_timespec){at_ns / NS_PER_S, at_ns % NS_PER_S};
	io_uring_prep_timeout(sqe, &deadlines->until, 0, IORING_TIMEOUT_ABS);
	io_uring_sqe_set_data64(sqe, deadlines->user_data);
}
