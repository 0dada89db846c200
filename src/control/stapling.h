/* SPDX-License-Identifier: Apache-2.0 */
/* What authorities say of the certificates that sites show (OCSP): asked in the background, kept on
 * disk for the next start, and stapled to handshakes. Never in the way: a site without is served as
 * well. */
#pragma once

#include "control/certificates.h"

struct stapling;

/* On control's loop, until stapling_stop(). */
struct stapling *stapling_start(struct certificates *certificates);
/* A certificate has changed: what is due is asked at once. */
void stapling_wake(struct stapling *stapling);
void stapling_stop(struct stapling *stapling);
