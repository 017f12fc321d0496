/* Datagrams of UDP push and their acknowledgements, and which clients get any. */
#include "tests/base/unit.h"

#include "api/udp_gate.h"
#include "api/udp_packet.h"
#include "base/mem.h"
#include <stdlib.h>
#include <zlib.h>

/* ServiceInfo of @len bytes, hardly to be compressed when @noisy. */
static char *info_of(size_t len, bool noisy)
{
	char *info = malloc(len + 1);
	uint32_t x = 7;
	assert_non_null(info);
	for (size_t i = 0; i < len; i++) {
		x = x * 1664525 + 1013904223;
		info[i] = noisy ? (char)('0' + (x >> 24) % 64) : 'a';
		if (info[i] == '\\')
			info[i] = 'b';
	}
	info[len] = '\0';
	return info;
}

/* The packet with @info, unpacked, as a text to be freed; NULL: none was written. *@ret_len: of the datagram. */
static char *packet_of(const char *info, uint64_t ref, size_t *ret_len)
{
	struct text to, scratch;
	text_init(&to);
	text_init(&scratch);
	text_add(&to, "12345678");
	bool ok = udp_packet_write(&to, &scratch, info, strlen(info), ref);
	char *plain = NULL;
	*ret_len = to.len - 8;
	assert_memory_equal(to.at, "12345678", 8);
	assert_int_equal(ok, to.len > 8);
	if (ok && (uint8_t)to.at[8] == 0x1f) {
		z_stream z = { .next_in = (Bytef *)to.at + 8, .avail_in = (uInt)(to.len - 8) };
		size_t room = 2 << 20;
		plain = calloc(1, room);
		assert_int_equal(inflateInit2(&z, MAX_WBITS + 16), Z_OK);
		z.next_out = (Bytef *)plain;
		z.avail_out = (uInt)room - 1;
		assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
		inflateEnd(&z);
	} else if (ok) {
		plain = strdup(to.at + 8);
	}
	text_done(&to);
	text_done(&scratch);
	return plain;
}

static void a_packet_holds_the_info_as_a_text_and_the_number(void **state)
{
	size_t len;
	(void)state;
	char *packet = packet_of("{\"name\":\"g@@s\",\"hosts\":[]}", 9007199254740991, &len);
	assert_string_equal(packet, "{\"type\":\"dom\",\"data\":\"{\\\"name\\\":\\\"g@@s\\\",\\\"hosts\\\":[]}\","
				    "\"lastRefTime\":9007199254740991}");
	free(packet);
}

/* The frame around the info, with a number of one digit, has 40 bytes. */
static void packets_of_1024_bytes_and_more_are_compressed(void **state)
{
	size_t len;
	(void)state;
	for (size_t size = 1020; size < 1030; size++) {
		char *info = info_of(size - 40, false);
		char *packet = packet_of(info, 1, &len);
		assert_int_equal(strlen(packet), size);
		if (size < UDP_GZIP_FROM)
			assert_int_equal(len, size);
		else
			assert_true(len < size);
		free(packet);
		free(info);
	}
}

static void what_fits_no_datagram_is_not_written(void **state)
{
	static const struct {
		size_t len;
		bool noisy, fits;
	} cases[] = { { 60000, true, true }, { 200000, true, false }, { UDP_PLAIN_MAX, false, true }, { UDP_PLAIN_MAX + 1, false, false } };
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len;
		char *info = info_of(cases[i].len, cases[i].noisy);
		char *packet = packet_of(info, 1, &len);
		assert_int_equal(packet != NULL, cases[i].fits);
		assert_true(len <= UDP_PACKET_MAX);
		free(packet);
		free(info);
	}
}

static void writing_survives_every_failed_allocation(void **state)
{
	char *info = info_of(5000, true);
	bool failed = true;
	(void)state;
	for (unsigned nth = 0; failed; nth++) {
		struct text to, scratch;
		text_init(&to);
		text_init(&scratch);
		mem_fail_at(nth);
		bool ok = udp_packet_write(&to, &scratch, info, strlen(info), 1);
		failed = mem_fail_off();
		assert_true(ok || (failed && to.len == 0));
		text_done(&to);
		text_done(&scratch);
	}
	free(info);
}

/* From an exact-size block, so that a sanitizer sees one byte too many. */
static uint64_t ack_of(const char *text, size_t len)
{
	char *exact = malloc(len > 0 ? len : 1);
	assert_non_null(exact);
	memcpy(exact, text, len);
	uint64_t ref = udp_ack_read(exact, len);
	free(exact);
	return ref;
}

static void acknowledgements_are_read_as_text_and_as_number(void **state)
{
	static const struct {
		const char *text;
		uint64_t ref;
	} cases[] = {
		{ "{\"type\":\"push-ack\",\"lastRefTime\":\"123456789012345\",\"data\":\"\"}", 123456789012345 },
		{ "{\"data\":\"\",\"lastRefTime\":\"7\",\"type\":\"push-ack\"}", 7 },
		{ "{\"type\":\"push-ack\",\"lastRefTime\":9007199254740991,\"data\":\"\"}", 9007199254740991 },
		{ " { \"type\" : \"push-ack\" , \"lastRefTime\" : 5 }", 5 },
		{ "{\"type\":\"push-ack\",\"lastRefTime\":\"5\",\"more\":{\"a\":[1,{}]}}", 5 },
		{ "{\"type\":\"push-ack\",\"lastRefTime\":9007199254740992}", 0 },
		{ "{\"type\":\"push-ack\",\"lastRefTime\":-5}", 0 },
		{ "{\"type\":\"push-ack\",\"lastRefTime\":1e300}", 0 },
		{ "{\"type\":\"push-ack\",\"lastRefTime\":\"\"}", 0 },
		{ "{\"type\":\"push-ack\",\"lastRefTime\":\"5x\"}", 0 },
		{ "{\"type\":\"push-ack\",\"lastRefTime\":\"-5\"}", 0 },
		{ "{\"type\":\"push-ack\",\"lastRefTime\":\"12345678901234567\"}", 0 },
		{ "{\"type\":\"push-ack\",\"lastRefTime\":null}", 0 },
		{ "{\"type\":\"push-ack\"}", 0 },
		{ "{\"type\":\"dump-ack\",\"lastRefTime\":\"5\"}", 0 },
		{ "{\"type\":7,\"lastRefTime\":\"5\"}", 0 },
		{ "{\"lastRefTime\":\"5\"}", 0 },
		{ "[\"push-ack\",5]", 0 },
		{ "push-ack", 0 },
		{ "", 0 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(ack_of(cases[i].text, strlen(cases[i].text)), cases[i].ref);
}

static void every_truncation_of_an_acknowledgement_is_none(void **state)
{
	static const char whole[] = "{\"type\":\"push-ack\",\"data\":{\"a\":[\"\\u00e4\",1.5e3,true]},\"lastRefTime\":\"42\"}";
	(void)state;
	for (size_t len = 0; len < sizeof(whole) - 1; len++)
		assert_int_equal(ack_of(whole, len), 0);
	assert_int_equal(ack_of(whole, sizeof(whole) - 1), 42);
}

static void versions_pass_their_gate_from_the_least_on(void **state)
{
	static const struct {
		const char *agent;
		bool passes;
	} cases[] = {
		{ "Nacos-C-Client:v1.0.12", true },   { "Nacos-C-Client:v1.0.11", false }, { "Nacos-C-Client:v1.0.2", false },
		{ "Nacos-C-Client:v1.1", true },      { "Nacos-C-Client:v1.0", false },	   { "Nacos-C-Client:v2", true },
		{ "Nacos-C-Client:v1.0.12.1", true }, { "Nacos-C-Client:v1.0.x", false },  { "Nacos-C-Client:v", false },
		{ "Nacos-C-Client", false },	      { "Nacos-C-Client:", false },	   { "Nacos-C-Client:v1.0.4294967308", true },
		{ "Nacos-C", false },		      { "", false },			   { "Nacos-Go-Client:v0.1", true },
		{ "Nacos-go-Client:v1.0", false },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(udp_gate(cases[i].agent, strlen(cases[i].agent)) != NULL, cases[i].passes);
	assert_true(udp_gate("Nacos-Go-Client:v1.1.6", 22)->rests_on_pushes);
	assert_int_equal(udp_gate("Nacos-Go-Client:v1.1.6", 22)->datagram_max, 4024);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packet_holds_the_info_as_a_text_and_the_number),
		cmocka_unit_test(packets_of_1024_bytes_and_more_are_compressed),
		cmocka_unit_test(what_fits_no_datagram_is_not_written),
		cmocka_unit_test(writing_survives_every_failed_allocation),
		cmocka_unit_test(acknowledgements_are_read_as_text_and_as_number),
		cmocka_unit_test(every_truncation_of_an_acknowledgement_is_none),
		cmocka_unit_test(versions_pass_their_gate_from_the_least_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
