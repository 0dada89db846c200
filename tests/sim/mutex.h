/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Mutexes that were made and not destroyed; that are held now. */
unsigned mutexes_made(void);
unsigned mutexes_held(void);
