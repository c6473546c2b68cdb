/*
 * Where in a file the next read or write begins.
 *
 * The kernel would count that, too. But a request that meets a full disk or a bad block halfway
 * reports how much it did and leaves the kernel's position where it was, so the next one would
 * repeat that part or overwrite it. That's why a program that has to be exact counts itself.
 * Positions are passed to io_uring_prep_read(3) and io_uring_prep_write(3).
 */
#ifndef COMMON_POSITION_H
#define COMMON_POSITION_H

#include <linux/types.h>

/*
 * The beginning of the file: 0, or, for files that have no positions, such as pipes and terminals,
 * io_uring's -1, which means "wherever it is now".
 */
__u64 position_at_start(const char *path);

/* Where the open file of this descriptor is now; -1 as above. */
__u64 position_of(int fd);

/* Moves on by what a read or write has done; a position of -1 stays. */
void position_move(__u64 *position, int count);

/* Other programs share a descriptor's position: leaves it where this program has got to. */
void position_hand_back(int fd, __u64 position);

#endif
