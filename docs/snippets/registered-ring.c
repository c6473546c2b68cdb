/* Whose is a registered ring descriptor? */
#include "snippet.h"

#include <pthread.h>

static struct io_uring ring;

static const char *submit_nop(void)
{
	io_uring_prep_nop(io_uring_get_sqe(&ring));
	return name_of(io_uring_submit(&ring));
}

static void *submit_elsewhere(void *own_result)
{
	printf("the thread that registered it: %s; another: %s\n", (const char *)own_result,
	       submit_nop());
	return NULL;
}

int main(void)
{
	pthread_t thread;

	open_ring(&ring);
	need(io_uring_register_ring_fd(&ring) == 1, "Linux 5.18");
	pthread_create(&thread, NULL, submit_elsewhere, (char *)submit_nop());
	pthread_join(thread, NULL);
	return EXIT_SUCCESS;
}
