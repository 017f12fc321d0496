/* json_in.h - JSON (and k=v lists) that clients put into parameters: metadata, beats, health checkers,
 * selectors. The usual plain forms are read in place; whatever is unusual goes through cJSON. What comes
 * out is borrowed from @mem and from the text, which may be written into. */
#ifndef API_JSON_IN_H
#define API_JSON_IN_H

#include "api/params.h"
#include "registry/command.h"

enum { METADATA_PAIRS_MAX = 1024, TARGETS_MAX = 4096 };

struct pair_list {
	struct pair *at;
	size_t count;
};

/* A JSON object of texts (numbers and booleans become texts, null an empty one), else k=v,k=v. Of equal
 * keys the last one counts. @what: enum failure of a refusal, @field: its name in the text. */
int metadata_decode(struct pair_list *ret, struct arena *mem, struct param_value text, int what,
		    const char *field, struct error *err);

/* The same of a JSON object that was parsed already. */
struct cJSON;
int metadata_of_tree(struct pair_list *ret, struct arena *mem, const struct cJSON *tree, int what, const char *field,
		     struct error *err);

struct beat_in {
	const char *ip, *cluster, *service_name; /* NULL: absent */
	uint16_t port;
	bool has_port, ephemeral;
	double weight;
	struct pair_list metadata;
};

int beat_decode(struct beat_in *ret, struct arena *mem, struct param_value text, struct error *err);

/* nacos-naming 7.4: {"type":"HTTP","path":"/h",...}; an unknown type is CHECKER_NONE and echoed. */
int checker_decode(struct checker *ret, struct arena *mem, struct param_value text, struct error *err);

/* [{"ip":s,"port":i,"clusterName":s},...]; other members are not looked at. Port: a number or its text. */
int targets_decode(const struct instance_target **ret, size_t *count, struct arena *mem, struct param_value text,
		   struct error *err);

/* {"type":"none"} or {"type":"label","expression":...}; the text itself is what is kept. */
int selector_check(struct param_value text, struct error *err);

#endif
