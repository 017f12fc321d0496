#include "tests/support/crash_vfs.h"
#include "base/random.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

/* A write, or with bytes NULL a truncation to @offset, that was not synced. */
struct change {
	struct change *next;
	unsigned char *bytes;
	int64_t offset;
	size_t len;
};

/* One path: what programs see, and what would be lost. Outlives its open handles, as a page cache does. */
struct node {
	struct node *next;
	char *path;
	unsigned char *image;
	int64_t size, cap;
	struct change *first, **last;
	unsigned handles;
};

struct crash_vfs {
	sqlite3_vfs vfs;
	sqlite3_vfs *real;
	pthread_mutex_t mutex;
	struct node *nodes;
	bool cut, pending, read_only;
	unsigned ops_left, syncs, fail_syncs;
	uint64_t seed;
	int64_t space;
	int last_errno;
	void (*on_cut)(void);
};

struct crash_file {
	sqlite3_file file;
	struct crash_vfs *v;
	struct node *node;   /* NULL: a temporary file, passed through */
	sqlite3_file *real; /* behind this struct */
};

static void lock(struct crash_vfs *v)
{
	pthread_mutex_lock(&v->mutex);
}

static int unlock(struct crash_vfs *v, int rc)
{
	pthread_mutex_unlock(&v->mutex);
	return rc;
}

/* ---- nodes */

static void image_grow(struct node *n, int64_t size)
{
	if (size > n->cap) {
		n->cap = size * 2;
		n->image = realloc(n->image, (size_t)n->cap);
		assert(n->image != NULL);
	}
	if (size > n->size) {
		memset(n->image + n->size, 0, (size_t)(size - n->size));
		n->size = size;
	}
}

static void changes_drop(struct node *n)
{
	while (n->first != NULL) {
		struct change *c = n->first;
		n->first = c->next;
		free(c->bytes);
		free(c);
	}
	n->last = &n->first;
}

static void change_add(struct node *n, const void *bytes, size_t len, int64_t offset)
{
	struct change *c = calloc(1, sizeof(*c));
	assert(c != NULL);
	c->offset = offset;
	c->len = len;
	if (bytes != NULL) {
		c->bytes = malloc(len + 1);
		assert(c->bytes != NULL);
		memcpy(c->bytes, bytes, len);
	}
	*n->last = c;
	n->last = &c->next;
}

static void nodes_forget(struct crash_vfs *v)
{
	while (v->nodes != NULL) {
		struct node *n = v->nodes;
		assert(n->handles == 0);
		v->nodes = n->next;
		changes_drop(n);
		free(n->image);
		free(n->path);
		free(n);
	}
}

static struct node *node_find(struct crash_vfs *v, const char *path)
{
	struct node *n = v->nodes;
	while (n != NULL && strcmp(n->path, path) != 0)
		n = n->next;
	return n;
}

static struct node *node_get(struct crash_vfs *v, const char *path, sqlite3_file *real)
{
	struct node *n = node_find(v, path);
	if (n == NULL) {
		n = calloc(1, sizeof(*n));
		assert(n != NULL);
		n->path = strdup(path);
		n->last = &n->first;
		sqlite3_int64 size = 0;
		real->pMethods->xFileSize(real, &size);
		image_grow(n, size);
		if (size > 0)
			real->pMethods->xRead(real, n->image, (int)size, 0);
		n->next = v->nodes;
		v->nodes = n;
	}
	n->handles++;
	return n;
}

/* ---- what reaches the disk */

static void change_apply(sqlite3_file *real, const struct change *c, size_t len)
{
	if (c->bytes == NULL)
		real->pMethods->xTruncate(real, c->offset);
	else if (len > 0)
		real->pMethods->xWrite(real, c->bytes, (int)len, c->offset);
}

static void changes_apply(struct node *n, sqlite3_file *real)
{
	for (struct change *c = n->first; c != NULL; c = c->next)
		change_apply(real, c, c->len);
	changes_drop(n);
}

/* The disk had begun some of what was not synced: each write whole, torn at a sector, or not at all. */
static void node_cut(struct crash_vfs *v, struct node *n, struct rng *rng)
{
	sqlite3_file *real = calloc(1, (size_t)v->real->szOsFile);
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MAIN_JOURNAL;
	assert(real != NULL);
	if (n->first != NULL && v->real->xOpen(v->real, n->path, real, flags, NULL) == SQLITE_OK) {
		uint32_t mood = rng_below(rng, 3); /* 0: nothing reached it, 1: some, 2: nearly all */
		for (struct change *c = n->first; c != NULL; c = c->next) {
			uint32_t fate = rng_below(rng, 16);
			if (mood == 0 || (mood == 1 && fate < 8) || (mood == 2 && fate < 1))
				continue;
			size_t sectors = c->len / 512;
			bool torn = fate == 15 && sectors > 1;
			size_t len = torn ? rng_below(rng, (uint32_t)sectors) * 512 : c->len;
			change_apply(real, c, len);
		}
		real->pMethods->xClose(real);
	}
	free(real);
	changes_drop(n);
}

static void cut_now(struct crash_vfs *v)
{
	struct rng rng;
	rng_seed(&rng, v->seed);
	v->cut = true;
	for (struct node *n = v->nodes; n != NULL; n = n->next)
		node_cut(v, n, &rng);
	if (v->on_cut != NULL)
		v->on_cut();
}

/* Before each write and sync. @last: it is recorded, then the power goes. */
static int power_check(struct crash_vfs *v, bool *ret_last)
{
	*ret_last = false;
	if (v->cut)
		return SQLITE_IOERR;
	if (v->pending)
		*ret_last = v->ops_left == 0;
	if (v->pending && v->ops_left > 0)
		v->ops_left--;
	return SQLITE_OK;
}

/* ---- file methods */

static int file_close(sqlite3_file *file)
{
	struct crash_file *f = (struct crash_file *)file;
	lock(f->v);
	f->node->handles--;
	f->real->pMethods->xClose(f->real);
	return unlock(f->v, SQLITE_OK);
}

static int file_read(sqlite3_file *file, void *to, int len, sqlite3_int64 offset)
{
	struct crash_file *f = (struct crash_file *)file;
	struct node *n = f->node;
	lock(f->v);
	if (f->v->cut)
		return unlock(f->v, SQLITE_IOERR_READ);
	int64_t have = n->size - offset;
	if (have >= len) {
		memcpy(to, n->image + offset, (size_t)len);
		return unlock(f->v, SQLITE_OK);
	}
	memset(to, 0, (size_t)len);
	if (have > 0)
		memcpy(to, n->image + offset, (size_t)have);
	return unlock(f->v, SQLITE_IOERR_SHORT_READ);
}

static int write_refused(struct crash_vfs *v, struct node *n, int64_t end)
{
	if (v->read_only) {
		v->last_errno = EROFS;
		return SQLITE_IOERR_WRITE;
	}
	int64_t growth = end - n->size;
	if (v->space >= 0 && growth > v->space) {
		v->last_errno = ENOSPC;
		return SQLITE_FULL;
	}
	if (v->space >= 0 && growth > 0)
		v->space -= growth;
	return SQLITE_OK;
}

static int file_write(sqlite3_file *file, const void *from, int len, sqlite3_int64 offset)
{
	struct crash_file *f = (struct crash_file *)file;
	bool last;
	lock(f->v);
	int rc = power_check(f->v, &last);
	if (rc == SQLITE_OK)
		rc = write_refused(f->v, f->node, offset + len);
	if (rc != SQLITE_OK)
		return unlock(f->v, rc);
	image_grow(f->node, offset + len);
	memcpy(f->node->image + offset, from, (size_t)len);
	change_add(f->node, from, (size_t)len, offset);
	if (last)
		cut_now(f->v);
	return unlock(f->v, last ? SQLITE_IOERR_WRITE : SQLITE_OK);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	struct crash_file *f = (struct crash_file *)file;
	bool last;
	lock(f->v);
	int rc = power_check(f->v, &last);
	if (rc != SQLITE_OK)
		return unlock(f->v, rc);
	if (size < f->node->size)
		f->node->size = size;
	change_add(f->node, NULL, 0, size);
	if (last)
		cut_now(f->v);
	return unlock(f->v, last ? SQLITE_IOERR_TRUNCATE : SQLITE_OK);
}

static int file_sync(sqlite3_file *file, int flags)
{
	struct crash_file *f = (struct crash_file *)file;
	bool last;
	(void)flags;
	lock(f->v);
	int rc = power_check(f->v, &last);
	if (rc != SQLITE_OK)
		return unlock(f->v, rc);
	if (last) {
		cut_now(f->v);
		return unlock(f->v, SQLITE_IOERR_FSYNC);
	}
	if (f->v->fail_syncs > 0) {
		f->v->fail_syncs--;
		f->v->last_errno = EIO;
		return unlock(f->v, SQLITE_IOERR_FSYNC);
	}
	f->v->syncs++;
	changes_apply(f->node, f->real);
	return unlock(f->v, SQLITE_OK);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret)
{
	struct crash_file *f = (struct crash_file *)file;
	lock(f->v);
	*ret = f->node->size;
	return unlock(f->v, f->v->cut ? SQLITE_IOERR_FSTAT : SQLITE_OK);
}

#define REAL(file) (((struct crash_file *)(file))->real)

static int file_lock(sqlite3_file *file, int level)
{
	return REAL(file)->pMethods->xLock(REAL(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
	return REAL(file)->pMethods->xUnlock(REAL(file), level);
}

static int file_reserved(sqlite3_file *file, int *ret)
{
	return REAL(file)->pMethods->xCheckReservedLock(REAL(file), ret);
}

static int file_control(sqlite3_file *file, int op, void *arg)
{
	if (op == SQLITE_FCNTL_SIZE_HINT || op == SQLITE_FCNTL_CHUNK_SIZE)
		return SQLITE_OK; /* would touch the real file */
	return REAL(file)->pMethods->xFileControl(REAL(file), op, arg);
}

static int file_sector(sqlite3_file *file)
{
	(void)file;
	return 4096;
}

static int file_traits(sqlite3_file *file)
{
	(void)file;
	return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static int file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **ret)
{
	return REAL(file)->pMethods->xShmMap(REAL(file), page, size, extend, ret);
}

static int file_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
	return REAL(file)->pMethods->xShmLock(REAL(file), offset, n, flags);
}

static void file_shm_barrier(sqlite3_file *file)
{
	REAL(file)->pMethods->xShmBarrier(REAL(file));
}

static int file_shm_unmap(sqlite3_file *file, int delete)
{
	return REAL(file)->pMethods->xShmUnmap(REAL(file), delete);
}

static const sqlite3_io_methods file_methods = {
	.iVersion = 2,
	.xClose = file_close,
	.xRead = file_read,
	.xWrite = file_write,
	.xTruncate = file_truncate,
	.xSync = file_sync,
	.xFileSize = file_size,
	.xLock = file_lock,
	.xUnlock = file_unlock,
	.xCheckReservedLock = file_reserved,
	.xFileControl = file_control,
	.xSectorSize = file_sector,
	.xDeviceCharacteristics = file_traits,
	.xShmMap = file_shm_map,
	.xShmLock = file_shm_lock,
	.xShmBarrier = file_shm_barrier,
	.xShmUnmap = file_shm_unmap,
};

/* ---- the VFS */

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *ret_flags)
{
	struct crash_vfs *v = vfs->pAppData;
	struct crash_file *f = (struct crash_file *)file;
	if (path == NULL) /* temporary: nothing of it is to last */
		return v->real->xOpen(v->real, path, file, flags, ret_flags);
	lock(v);
	file->pMethods = NULL;
	if (v->cut)
		return unlock(v, SQLITE_CANTOPEN);
	f->real = (sqlite3_file *)(f + 1);
	int rc = v->real->xOpen(v->real, path, f->real, flags, ret_flags);
	if (rc != SQLITE_OK)
		return unlock(v, rc);
	f->v = v;
	f->node = node_get(v, path, f->real);
	file->pMethods = &file_methods;
	return unlock(v, SQLITE_OK);
}

static int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync)
{
	struct crash_vfs *v = vfs->pAppData;
	lock(v);
	if (v->cut)
		return unlock(v, SQLITE_IOERR_DELETE);
	struct node *n = node_find(v, path);
	if (n != NULL) {
		changes_drop(n);
		n->size = 0;
	}
	return unlock(v, v->real->xDelete(v->real, path, sync));
}

static int vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *ret)
{
	struct crash_vfs *v = vfs->pAppData;
	int rc = v->real->xAccess(v->real, path, flags, ret);
	/* The real file of a log that was never synced is empty, and "exists" means: not empty. */
	lock(v);
	struct node *n = node_find(v, path);
	if (rc == SQLITE_OK && flags == SQLITE_ACCESS_EXISTS && n != NULL && n->size > 0)
		*ret = 1;
	return unlock(v, rc);
}

static int vfs_last_error(sqlite3_vfs *vfs, int len, char *to)
{
	struct crash_vfs *v = vfs->pAppData;
	(void)len, (void)to;
	lock(v);
	return unlock(v, v->last_errno);
}

struct crash_vfs *crash_vfs_new(const char *name)
{
	struct crash_vfs *v = calloc(1, sizeof(*v));
	assert(v != NULL);
	sqlite3_initialize();
	v->real = sqlite3_vfs_find("unix");
	v->vfs = *v->real;
	v->vfs.iVersion = 2;
	v->vfs.pNext = NULL;
	v->vfs.zName = name;
	v->vfs.pAppData = v;
	v->vfs.szOsFile = (int)sizeof(struct crash_file) + v->real->szOsFile;
	v->vfs.xOpen = vfs_open;
	v->vfs.xDelete = vfs_delete;
	v->vfs.xAccess = vfs_access;
	v->vfs.xGetLastError = vfs_last_error;
	v->space = -1;
	pthread_mutex_init(&v->mutex, NULL);
	sqlite3_vfs_register(&v->vfs, 0);
	return v;
}

void crash_vfs_free(struct crash_vfs *v)
{
	sqlite3_vfs_unregister(&v->vfs);
	nodes_forget(v);
	pthread_mutex_destroy(&v->mutex);
	free(v);
}

void crash_vfs_cut(struct crash_vfs *v, uint64_t seed)
{
	lock(v);
	v->seed = seed;
	if (!v->cut)
		cut_now(v);
	unlock(v, 0);
}

void crash_vfs_cut_after(struct crash_vfs *v, unsigned ops, uint64_t seed)
{
	lock(v);
	v->pending = true;
	v->ops_left = ops;
	v->seed = seed;
	unlock(v, 0);
}

void crash_vfs_on_cut(struct crash_vfs *v, void (*on_cut)(void))
{
	v->on_cut = on_cut;
}

bool crash_vfs_is_cut(struct crash_vfs *v)
{
	lock(v);
	return unlock(v, v->cut);
}

void crash_vfs_power(struct crash_vfs *v)
{
	lock(v);
	if (v->cut)
		nodes_forget(v);
	v->cut = v->pending = false;
	unlock(v, 0);
}

void crash_vfs_space(struct crash_vfs *v, int64_t bytes)
{
	lock(v);
	v->space = bytes;
	unlock(v, 0);
}

void crash_vfs_read_only(struct crash_vfs *v, bool on)
{
	lock(v);
	v->read_only = on;
	unlock(v, 0);
}

void crash_vfs_fail_syncs(struct crash_vfs *v, unsigned count)
{
	lock(v);
	v->fail_syncs = count;
	unlock(v, 0);
}

unsigned crash_vfs_syncs(struct crash_vfs *v)
{
	lock(v);
	return (unsigned)unlock(v, (int)v->syncs);
}
