/* The protobuf envelope: what protoc's own encoder writes is read, whatever is cut or garbled is not. */
#include "api/payload.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

/* protoc --encode=Payload: metadata { type: "InstanceRequest" headers { key: "app" value: "shop" } headers { key: "k"
 * value: "v" } clientIp: "10.0.0.9" } body { value: "{\"a\":1}" } */
static const char SAMPLE[] = "\x12\x30\x1a\x0fInstanceRequest:\x0b\x0a\x03"
			     "app\x12\x04shop:\x06\x0a\x01k\x12\x01vB\x08"
			     "10.0.0.9\x1a\x09\x12\x07{\"a\":1}";

static void assert_slice(struct slice s, const char *text)
{
	assert_int_equal(s.len, strlen(text));
	assert_memory_equal(s.at, text, s.len);
}

static void a_message_of_protoc_is_read(void **state)
{
	struct payload p;
	struct error err;
	(void)state;
	assert_int_equal(payload_decode(&p, SAMPLE, sizeof(SAMPLE) - 1, &err), E_OK);
	assert_slice(p.type, "InstanceRequest");
	assert_slice(p.client_ip, "10.0.0.9");
	assert_slice(p.app, "shop");
	assert_slice(p.body, "{\"a\":1}");
}

static void fields_that_nobody_knows_are_skipped(void **state)
{
	static const char odd[] = "\x08\x96\x01\x2d\x01\x02\x03\x04\x31\x01\x02\x03\x04\x05\x06\x07\x08\x42\x01x\x12\x03\x1a\x01T";
	struct payload p;
	struct error err;
	(void)state;
	assert_int_equal(payload_decode(&p, odd, sizeof(odd) - 1, &err), E_OK);
	assert_slice(p.type, "T");
	assert_null(p.body.at);
}

/* From an exact heap block, so that a byte too many is seen. */
static void every_truncation_is_refused_or_lacks_its_end(void **state)
{
	(void)state;
	for (size_t len = 0; len < sizeof(SAMPLE) - 1; len++) {
		char *part = mem_alloc(len + (len == 0));
		struct payload p = { { NULL, 0 }, { NULL, 0 }, { NULL, 0 }, { NULL, 0 } };
		struct error err;
		memcpy(part, SAMPLE, len);
		if (payload_decode(&p, part, len, &err) == E_OK)
			assert_int_equal(len, 50); /* behind the metadata: without a body */
		else
			assert_null(p.type.at);
		mem_free(part);
	}
}

static void a_length_past_the_end_is_refused(void **state)
{
	static const char *const bad[] = { "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x12\x7f\x1a", "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
					   "\x13", "\x1a\x02\x12\x7f", "\x0f" };
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct payload p;
		struct error err;
		assert_int_equal(payload_decode(&p, bad[i], strlen(bad[i]), &err), E_INVALID);
	}
}

static void what_is_written_is_read_back(void **state)
{
	static const size_t lens[] = { 0, 1, 125, 126, 127, 128, 129, 16380, 16384, 70000 };
	(void)state;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		char *message = mem_alloc(PAYLOAD_HEAD_MAX + lens[i]);
		size_t head = payload_head((uint8_t *)message, "NotifySubscriberRequest", lens[i]);
		struct payload p;
		struct error err;
		memset(message + head, 'x', lens[i]);
		assert_int_equal(payload_decode(&p, message, head + lens[i], &err), E_OK);
		assert_slice(p.type, "NotifySubscriberRequest");
		assert_int_equal(p.body.len, lens[i]);
		mem_free(message);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_of_protoc_is_read),
		cmocka_unit_test(fields_that_nobody_knows_are_skipped),
		cmocka_unit_test(every_truncation_is_refused_or_lacks_its_end),
		cmocka_unit_test(a_length_past_the_end_is_refused),
		cmocka_unit_test(what_is_written_is_read_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
