#include "common/position.h"

#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#define CURRENT UINT64_MAX /* -1, as io_uring has it */

__u64 position_at_start(const char *path)
{
	struct stat status;

	if (stat(path, &status) == 0 && (S_ISREG(status.st_mode) || S_ISBLK(status.st_mode)))
		return 0;
	return CURRENT;
}

__u64 position_of(int fd)
{
	return (__u64)lseek(fd, 0, SEEK_CUR); /* -1 if it can't seek */
}

void position_move(__u64 *position, int count)
{
	if (*position != CURRENT)
		*position += (unsigned)count;
}

void position_hand_back(int fd, __u64 position)
{
	if (position != CURRENT)
		lseek(fd, (off_t)position, SEEK_SET);
}
