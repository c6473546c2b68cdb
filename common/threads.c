#include "common/threads.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/memory.h"
#include "common/output.h"

static pthread_barrier_t all;
static void (*run_number)(unsigned number);

static void *run_thread(void *number)
{
	run_number((unsigned)(uintptr_t)number);
	return NULL;
}

void threads_run(unsigned count, void (*run)(unsigned number))
{
	pthread_t *threads = memory_map(count, sizeof(threads[0]));

	run_number = run;
	pthread_barrier_init(&all, NULL, count);
	for (uintptr_t i = 1; i < count; i++)
		if ((errno = pthread_create(&threads[i], NULL, run_thread, (void *)i)) != 0)
			output_error(EXIT_FAILURE, errno, "pthread_create");
	run(0);
	for (unsigned i = 1; i < count; i++)
		pthread_join(threads[i], NULL);
}

void threads_meet(void)
{
	pthread_barrier_wait(&all);
}
