/* probe_mysql.c - connect, log in, run one command, through libmariadb's non-blocking calls, so that the health
 * loop never waits (nacos-naming 7.4). Each call is started, then continued whenever epoll reports what it waits
 * for; it runs on a small stack of its own inside the library.
 *
 * Happy path: CONNECT > QUERY > RESULT > FETCH (the first row) > FREE (drains the rest) > the connection is kept
 * for the next run. A kept connection that turns out to be dead is replaced once, within the same run. Any other
 * error drops it. Time-outs: 500 ms for TCP, 1 s for the login, 1 s for the command.
 *
 * A call that is cut short is first made to return (socket shut down, continued with "timeout"), since closing
 * a connection under a suspended call would leak what lies on its stack. */
#include "health/probe.h"
#include "base/mem.h"
#include <errmsg.h>
#include <mysqld_error.h>
#include <string.h>
#include <sys/epoll.h>

enum {
	STAGE_CONNECT,
	STAGE_QUERY,
	STAGE_RESULT,
	STAGE_FETCH,
	STAGE_FREE,
	PACKET_MAX = 1 << 20,
	UNWIND_MAX = 32,
	START = -1,
};

/* Exactly this command is also judged by its answer. */
static const char read_only_command[] = "show global variables where variable_name='read_only'";

struct mysql_conn {
	MYSQL mysql;
	bool suspended;	 /* a call has been started and has not returned */
	bool logging_in; /* TCP is there */
};

static struct mysql_conn *conn_new(void)
{
	struct mysql_conn *c = mem_zalloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	if (mysql_init(&c->mysql) == NULL) {
		mem_free(c);
		return NULL;
	}
	unsigned tcp = MYSQL_PROTOCOL_TCP, off = 0;
	size_t packet_max = PACKET_MAX;
	my_bool no = 0;
	mysql_options(&c->mysql, MYSQL_OPT_NONBLOCK, 0);
	mysql_options(&c->mysql, MYSQL_OPT_PROTOCOL, &tcp);
	mysql_options(&c->mysql, MYSQL_OPT_LOCAL_INFILE, &off); /* a server may not ask for our files */
	mysql_options(&c->mysql, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet_max);
	mysql_options(&c->mysql, MYSQL_OPT_RECONNECT, &no);
	return c;
}

void mysql_conn_free(struct mysql_conn *c)
{
	if (c == NULL)
		return;
	mysql_close(&c->mysql);
	mem_free(c);
}

/* ---- one call: started with @ready START, else continued; returns what it waits for, 0 when it is done */

static int call(struct probe *p, int ready)
{
	struct mysql_probe *m = &p->mysql;
	const struct check_spec *spec = p->task->group->spec;
	MYSQL *mysql = &m->conn->mysql;
	switch (m->stage) {
	case STAGE_CONNECT:
		return ready == START ? mysql_real_connect_start(&m->opened, mysql, p->task->ip, spec->user,
								 spec->password, NULL, check_port(p->task),
								 NULL, 0)
				      : mysql_real_connect_cont(&m->opened, mysql, ready);
	case STAGE_QUERY:
		return ready == START ? mysql_real_query_start(&m->rc, mysql, spec->command,
							       strlen(spec->command))
				      : mysql_real_query_cont(&m->rc, mysql, ready);
	case STAGE_FETCH:
		return ready == START ? mysql_fetch_row_start(&m->row, m->result)
				      : mysql_fetch_row_cont(&m->row, m->result, ready);
	case STAGE_FREE:
		return ready == START ? mysql_free_result_start(m->result)
				      : mysql_free_result_cont(m->result, ready);
	default:
		return 0;
	}
}

static bool fail_sql(struct probe *p, struct probe_result *ret)
{
	unsigned code = mysql_errno(&p->mysql.conn->mysql);
	const char *text = mysql_error(&p->mysql.conn->mysql);
	switch (code) {
	case CR_CONNECTION_ERROR:
	case CR_CONN_HOST_ERROR:
		if (strstr(text, "(111") != NULL) /* ECONNREFUSED */
			return probe_failed(p, ret, PROBE_FAIL_NOW, CAUSE_REFUSED, "connect refused");
		return probe_failed(p, ret, PROBE_FAIL_NOW, CAUSE_NETWORK, "connect error");
	case CR_SERVER_GONE_ERROR:
	case CR_SERVER_LOST:
		return probe_failed(p, ret, PROBE_FAIL_NOW, CAUSE_PROTOCOL, "connection lost");
	case ER_ACCESS_DENIED_ERROR:
	case ER_DBACCESS_DENIED_ERROR:
	case ER_ACCESS_DENIED_NO_PASSWORD_ERROR:
		return probe_failed(p, ret, PROBE_FAIL_NOW, CAUSE_SQL, "login refused");
	default:
		return probe_failed(p, ret, PROBE_FAIL_NOW, CAUSE_SQL, "SQL error %u", code);
	}
}

static bool connection_died(const struct probe *p)
{
	unsigned code = mysql_errno(&((struct probe *)(uintptr_t)p)->mysql.conn->mysql);
	return code == CR_SERVER_GONE_ERROR || code == CR_SERVER_LOST;
}

static bool replica_found(const struct probe *p)
{
	const struct mysql_probe *m = &p->mysql;
	return strcmp(p->task->group->spec->command, read_only_command) == 0 && m->row != NULL &&
	       mysql_num_fields(m->result) > 1 && m->row[1] != NULL && strcmp(m->row[1], "ON") == 0;
}

static bool reconnect(struct probe *p, struct probe_result *ret)
{
	struct mysql_probe *m = &p->mysql;
	mysql_conn_free(m->conn);
	m->cached = false;
	m->stage = STAGE_CONNECT;
	m->conn = conn_new();
	if (m->conn == NULL)
		return probe_failed(p, ret, PROBE_VOID, CAUSE_LOCAL, "no memory");
	probe_deadline(p, PROBE_CONNECT_MS);
	return false;
}

/* The call of this stage has returned: what comes next. True: the probe has ended. */
static bool advance(struct probe *p, struct probe_result *ret)
{
	struct mysql_probe *m = &p->mysql;
	MYSQL *mysql = &m->conn->mysql;
	switch (m->stage) {
	case STAGE_CONNECT:
		if (m->opened == NULL)
			return fail_sql(p, ret);
		m->stage = STAGE_QUERY;
		probe_deadline(p, PROBE_QUERY_MS);
		return false;
	case STAGE_QUERY:
		if (m->rc != 0 && m->cached && connection_died(p))
			return reconnect(p, ret);
		if (m->rc != 0)
			return fail_sql(p, ret);
		m->stage = STAGE_RESULT;
		return false;
	case STAGE_RESULT:
		m->result = mysql_use_result(mysql); /* reads nothing yet */
		if (m->result == NULL)
			return mysql_errno(mysql) != 0 ? fail_sql(p, ret) : probe_ok(p, ret);
		m->stage = STAGE_FETCH;
		return false;
	case STAGE_FETCH:
		if (m->row == NULL && mysql_errno(mysql) != 0)
			return fail_sql(p, ret);
		m->rc = replica_found(p);
		m->stage = STAGE_FREE;
		return false;
	default:
		m->result = NULL;
		if (m->rc != 0)
			return probe_failed(p, ret, PROBE_FAIL, CAUSE_READ_ONLY, "read-only");
		return probe_ok(p, ret);
	}
}

/* ---- with the loop */

static bool wait_for(struct probe *p, int wants, struct probe_result *ret)
{
	uint32_t events = EPOLLONESHOT;
	if ((wants & MYSQL_WAIT_READ) != 0)
		events |= EPOLLIN;
	if ((wants & MYSQL_WAIT_WRITE) != 0)
		events |= EPOLLOUT;
	if ((wants & MYSQL_WAIT_EXCEPT) != 0)
		events |= EPOLLPRI;
	struct mysql_conn *c = p->mysql.conn;
	if (p->mysql.stage == STAGE_CONNECT && (wants & MYSQL_WAIT_READ) != 0 && !c->logging_in) {
		c->logging_in = true;
		probe_deadline(p, PROBE_LOGIN_MS);
	}
	return probe_watch(p, (int)mysql_get_socket(&c->mysql), events, ret);
}

/* Goes on until a call has to wait or the probe has ended (true). */
static bool go_on(struct probe *p, int ready, struct probe_result *ret)
{
	for (;;) {
		int wants = call(p, ready);
		p->mysql.conn->suspended = wants != 0;
		if (wants != 0)
			return !wait_for(p, wants, ret);
		if (advance(p, ret))
			return true;
		ready = START;
	}
}

static bool mysql_start(struct probe *p, struct probe_result *ret)
{
	struct mysql_probe *m = &p->mysql;
	m->conn = p->task->conn;
	p->task->conn = NULL;
	if (m->conn == NULL) {
		if (reconnect(p, ret))
			return true;
	} else {
		m->cached = true;
		m->stage = STAGE_QUERY;
		probe_deadline(p, PROBE_QUERY_MS);
	}
	return go_on(p, START, ret);
}

static bool mysql_ready(struct probe *p, uint32_t events, struct probe_result *ret)
{
	int ready = 0;
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
		ready |= MYSQL_WAIT_READ;
	if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0)
		ready |= MYSQL_WAIT_WRITE;
	if ((events & EPOLLPRI) != 0)
		ready |= MYSQL_WAIT_EXCEPT;
	return go_on(p, ready, ret);
}

/* Makes a suspended call return. */
static void unwind(struct probe *p)
{
	struct mysql_conn *c = p->mysql.conn;
	if (!c->suspended)
		return;
	int fd = (int)mysql_get_socket(&c->mysql);
	if (fd >= 0)
		shutdown(fd, SHUT_RDWR);
	for (unsigned n = 0; n < UNWIND_MAX && call(p, MYSQL_WAIT_TIMEOUT) != 0; n++)
		;
	if (p->mysql.stage == STAGE_FREE)
		p->mysql.result = NULL;
	c->suspended = false;
}

static void mysql_end(struct probe *p, const struct probe_result *result)
{
	struct mysql_probe *m = &p->mysql;
	if (m->conn == NULL)
		return;
	unwind(p);
	bool keep = result != NULL && (result->outcome == PROBE_OK || result->cause == CAUSE_READ_ONLY);
	if (m->result != NULL)
		mysql_free_result(m->result); /* the socket is shut or at its end: nothing to wait for */
	if (keep)
		p->task->conn = m->conn;
	else
		mysql_conn_free(m->conn);
	m->conn = NULL;
}

const struct probe_kind probe_mysql = { mysql_start, mysql_ready, mysql_end };
