/* subset.h - a stable weighted choice of a few addresses out of many: weighted rendezvous by client bucket
 * (dns.md 2.2). The choice of a bucket is computed once per blob and window, by the reader that needs it first, and
 * kept beside the blob. Any thread, inside an RCU section. */
#ifndef ZONES_SUBSET_H
#define ZONES_SUBSET_H

#include "zones/blob.h"

/* Indexes of the best min(@n, cap of the blob) addresses of @family (4, 6) for the bucket of @client in @window, best
 * first. @ret holds BLOB_CAP_MAX. Returns how many. */
uint32_t subset_choose(struct blob *b, int family, uint64_t client, uint64_t window, uint32_t n, uint32_t *ret);
void subset_cache_free(struct subset_cache *c);
/* A number below 0; the less below, the better: log2(h) / weight with h uniform in (0, 1). Exposed for tests. */
float subset_log2(uint32_t h);

#endif
