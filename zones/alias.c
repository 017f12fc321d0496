/* alias.c - building alias tables. */
#include "zones/alias.h"

static uint32_t fraction(double share)
{
	double scaled = share * 4294967296.0 - 1.0;
	return scaled >= 4294967295.0 ? UINT32_MAX : scaled <= 0 ? 0 : (uint32_t)scaled;
}

void alias_build(struct alias *ret, const float *w, uint32_t n, uint32_t *work, double *share)
{
	uint32_t *small = work, *large = work + n, smalls = 0, larges = 0;
	double sum = 0;
	for (uint32_t i = 0; i < n; i++)
		sum += (double)w[i];
	double scale = (double)n / sum;
	for (uint32_t i = 0; i < n; i++) {
		share[i] = (double)w[i] * scale;
		ret[i] = (struct alias){ UINT32_MAX, i };
		if (share[i] < 1.0)
			small[smalls++] = i;
		else
			large[larges++] = i;
	}
	while (smalls > 0 && larges > 0) {
		uint32_t s = small[--smalls], l = large[larges - 1];
		ret[s] = (struct alias){ fraction(share[s]), l };
		share[l] -= 1.0 - share[s];
		if (share[l] < 1.0) {
			larges--;
			small[smalls++] = l;
		}
	}
	/* what is left has a share of 1 but for rounding */
}
