/*
 * ringtrace: what is kept by a number, in lists and in tables of lists. It is a structure whose
 * first member is a struct entry. A list is a pointer to its first one, or NULL.
 */
#ifndef TOOLS_RINGTRACE_LISTS_H
#define TOOLS_RINGTRACE_LISTS_H

#include <stddef.h>
#include <stdint.h>

struct entry {
	void *next; /* of the list: a structure of the same kind */
	uint64_t key;
};

/* Memory of zeros; where there is none, the program ends. */
void *allocate(size_t size);

/* NULL where the list has none with the key. */
void *list_find(void *list, uint64_t key);

/* Where the list has none, one of `size` bytes of zeros becomes its first. */
void *list_get(void **list, uint64_t key, size_t size);

/* Takes one out of its list, and frees it. */
void list_remove(void **list, void *entry);
void list_free(void **list);

#define LISTS 2048

/* A table of LISTS lists, NULL until the first call, and the one of them that the key is for. */
void **list_of(void ***table, uint64_t key);
void table_free(void ***table);

#endif
