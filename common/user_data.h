/*
 * Day 4's user_data: the kind of operation in the upper 32 bits, the connection's slot in the
 * lower.
 */
#ifndef COMMON_USER_DATA_H
#define COMMON_USER_DATA_H

#include <linux/types.h>

static inline __u64 user_data_pack(unsigned operation, unsigned slot)
{
	return (__u64)operation << 32 | slot;
}

static inline unsigned user_data_operation(__u64 user_data)
{
	return (unsigned)(user_data >> 32);
}

static inline unsigned user_data_slot(__u64 user_data)
{
	return (unsigned)user_data;
}

#endif
