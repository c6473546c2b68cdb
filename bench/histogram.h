/*
 * Counts durations in buckets whose width grows with the value, so that each is known to 0.1%,
 * whether it's a microsecond or a minute. The idea is HdrHistogram's, but Debian 12 doesn't package
 * its C library.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

/* Values below 2^11 have a bucket each; every doubling above them is divided into 2^10. */
#define HISTOGRAM_SUB_BITS  10
#define HISTOGRAM_DOUBLINGS 31 /* up to 2^41 ns, 36 minutes; longer ones count as that */
#define HISTOGRAM_BUCKETS   ((HISTOGRAM_DOUBLINGS + 1) << HISTOGRAM_SUB_BITS)

struct histogram {
	uint64_t total;
	uint64_t most;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);

/*
 * The value that `percent` of those added don't exceed, rounded up by at most 0.1%; 0 if none was
 * added.
 */
uint64_t histogram_percentile(const struct histogram *histogram, double percent);

#endif
