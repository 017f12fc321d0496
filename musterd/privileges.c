/* privileges.c - see privileges.h. Raw capset(2): all that is needed of libcap is this one set. */
#include "musterd/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int account_find(struct account *ret, const char *name, struct error *err)
{
	errno = 0;
	const struct passwd *p = getpwnam(name);
	if (p == NULL)
		return error_set(err, E_NOTFOUND,
				 "server.user: there is no user %.64s: make one (systemd-sysusers does, or useradd --system %.64s) "
				 "or name another",
				 name, name);
	if (p->pw_uid == 0)
		return error_set(err, E_INVALID, "server.user: %.64s is root and would keep every privilege: name an "
						 "ordinary user, or none",
				 name);
	*ret = (struct account){ name, p->pw_uid, p->pw_gid };
	return E_OK;
}

/* Effective and permitted: those of @wanted that the process has. Nothing is inheritable. */
static int capabilities_set(uint32_t wanted)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
	memset(sets, 0, sizeof(sets));
	if (syscall(SYS_capget, &head, sets) < 0)
		return -1;
	uint32_t kept = sets[0].permitted & wanted;
	memset(sets, 0, sizeof(sets));
	sets[0].effective = sets[0].permitted = kept;
	return (int)syscall(SYS_capset, &head, sets);
}

/* What no program started later can have either. */
static void bounds_drop(void)
{
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (cap != CAP_NET_BIND_SERVICE)
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

static bool identity_is(const struct account *a)
{
	uid_t real, effective, saved;
	return getresuid(&real, &effective, &saved) == 0 && real == a->uid && effective == a->uid && saved == a->uid;
}

static const char *identity_take(const struct account *a)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return "no_new_privs";
	bounds_drop();
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return "keep capabilities";
	if (initgroups(a->name, a->gid) < 0)
		return "setgroups";
	if (setresgid(a->gid, a->gid, a->gid) < 0)
		return "setresgid";
	if (setresuid(a->uid, a->uid, a->uid) < 0)
		return "setresuid";
	prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
	if (capabilities_set(1u << CAP_NET_BIND_SERVICE) < 0)
		return "capset";
	/* As a process that was started as this user would be: its owner may look into it, and a crash leaves a core. */
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	return NULL;
}

int privileges_drop(const struct account *a, struct error *err)
{
	if (geteuid() != 0) {
		if (identity_is(a))
			return E_OK;
		return error_set(err, E_DENIED,
				 "server.user: only root can become %.64s, and this is user %u: start as root, or without "
				 "server.user",
				 a->name, (unsigned)geteuid());
	}
	const char *failed = identity_take(a);
	if (failed != NULL)
		return error_set_errno(err, errno, "server.user %.64s: %s", a->name, failed);
	if (!identity_is(a) || setuid(0) == 0)
		return error_set(err, E_DENIED, "server.user %.64s: root could be taken back", a->name);
	return E_OK;
}
