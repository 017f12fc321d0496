/* h2_header.h - a header field as nghttp2 takes it; name and value are borrowed. */
#ifndef NACOSBLAST_H2_HEADER_H
#define NACOSBLAST_H2_HEADER_H

#include <nghttp2/nghttp2.h>
#include <stdint.h>

#define HEADER(name, value, len)                                                              \
	{ (uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), sizeof(name) - 1, len, \
	  NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE }
#define HEADER_TEXT(name, value) HEADER(name, value, sizeof(value) - 1)

#endif
