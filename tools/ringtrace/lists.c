/*
 * ringtrace: lists and tables, as lists.h promises.
 */
#include "tools/ringtrace/lists.h"

#include <errno.h>
#include <error.h>
#include <stdlib.h>

void *allocate(size_t size)
{
	void *memory = calloc(1, size);

	if (!memory)
		error(EXIT_FAILURE, errno, "memory for the trace");
	return memory;
}

void *list_find(void *list, uint64_t key)
{
	struct entry *entry = list;

	while (entry && entry->key != key)
		entry = entry->next;
	return entry;
}

void *list_get(void **list, uint64_t key, size_t size)
{
	struct entry *entry = list_find(*list, key);

	if (!entry) {
		entry = allocate(size);
		*entry = (struct entry){.next = *list, .key = key};
		*list = entry;
	}
	return entry;
}

void list_remove(void **list, void *entry)
{
	while (*list != entry)
		list = &((struct entry *)*list)->next;
	*list = ((struct entry *)entry)->next;
	free(entry);
}

void list_free(void **list)
{
	while (*list)
		list_remove(list, *list);
}

/* Small numbers are in their order; of larger ones, such as addresses, every bit counts. */
void **list_of(void ***table, uint64_t key)
{
	if (!*table)
		*table = allocate(LISTS * sizeof(void *));
	key ^= key >> 44;
	key ^= key >> 22;
	key ^= key >> 11;
	return &(*table)[key % LISTS];
}

void table_free(void ***table)
{
	for (unsigned i = 0; *table && i < LISTS; i++)
		list_free(&(*table)[i]);
	free(*table);
	*table = NULL;
}
