/*
 * The loop that days 4 to 6 have taught: wait, take the time, hand out every completion there is.
 */
#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

#include <liburing.h>

struct loop_counts {
	unsigned long completions, waits, overflows;
};

/*
 * The ring for it: ring_open_with_slots(), with a completion queue of `completion_entries` and with
 * IORING_SETUP_SINGLE_ISSUER and IORING_SETUP_DEFER_TASKRUN (Linux 6.1). So only the thread that
 * opens it may submit, and the kernel works on its requests only while that one waits.
 */
void loop_open_ring(struct io_uring *ring, unsigned entries, unsigned completion_entries,
		    unsigned slots);

/*
 * One pass: submits what is prepared, waits for a completion, as io_uring_submit_and_wait(3) does,
 * and calls `on_completion` for each that is there. Before that it stores in `*now_ns` when this
 * pass began, by clock_ns(). An error is ring_again()'s matter.
 */
void loop_pass(struct io_uring *ring, void (*on_completion)(const struct io_uring_cqe *cqe),
	       long long *now_ns, struct loop_counts *count);

/* Prints the counts, in a line that begins with the number of `connections`. */
void loop_print_counts(const struct loop_counts *count, unsigned long connections);

#endif
