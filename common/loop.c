#include "common/loop.h"

#include "common/clock.h"
#include "common/output.h"
#include "common/ring.h"

void loop_open_ring(struct io_uring *ring, unsigned entries, unsigned completion_entries,
		    unsigned slots)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER |
			 IORING_SETUP_DEFER_TASKRUN,
		.cq_entries = completion_entries,
	};

	ring_open_with_slots(ring, entries, &params, slots);
}

void loop_pass(struct io_uring *ring, void (*on_completion)(const struct io_uring_cqe *cqe),
	       long long *now_ns, struct loop_counts *count)
{
	struct io_uring_cqe *cqe;
	unsigned head, reaped = 0;

	ring_again(ring, io_uring_submit_and_wait(ring, 1), "io_uring_submit_and_wait");
	*now_ns = clock_ns();
	count->waits++;
	count->overflows += io_uring_cq_has_overflow(ring);

	io_uring_for_each_cqe (ring, head, cqe) {
		count->completions++;
		on_completion(cqe);
		reaped++;
	}
	io_uring_cq_advance(ring, reaped);
}

void loop_print_counts(const struct loop_counts *count, unsigned long connections)
{
	output_line("connections: %lu, completions: %lu, waits: %lu, completions a wait: %.1f, "
		    "completion queue overflowed: %lu",
		    connections, count->completions, count->waits,
		    count->waits > 0 ? (double)count->completions / (double)count->waits : 0,
		    count->overflows);
}
