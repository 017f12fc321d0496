/* backup.c - see backup.h. */
#include "store/backup.h"
#include "store/snapshot.h"

#include <stdio.h>
#include <sys/stat.h>

int store_backup(struct store_backup *ret, const char *data_dir, const char *to, bool replace,
		 const atomic_bool *stop, struct error *err)
{
	char path[4096];
	struct sqlite_file file, copy;
	struct store_backup made = { 0 };
	struct stat st;
	int len = snprintf(path, sizeof(path), "%s/muster.db", data_dir);
	if (len < 0 || (size_t)len >= sizeof(path))
		return error_set(err, E_RANGE, "%.100s...: the path is too long", data_dir);
	int rc = snapshot_open(&file, path, err);
	if (rc < 0)
		return rc;
	struct snapshot_conf conf = { .to = to, .replace = replace, .stop = stop };
	rc = snapshot_copy(&file, &copy, &conf, err);
	sqlite_file_close(&file);
	if (rc < 0)
		return rc;
	rc = snapshot_count(&copy, &made.schema, &made.rows, err);
	if (rc < 0) {
		snapshot_drop(&copy);
		return rc;
	}
	rc = snapshot_seal(&copy, &conf, err);
	if (rc == E_OK)
		rc = snapshot_name(&conf, err);
	if (rc == E_OK)
		rc = directory_sync(to, err);
	if (rc < 0)
		return rc;
	if (stat(to, &st) == 0)
		made.bytes = st.st_size;
	*ret = made;
	return E_OK;
}
