<?php
// SPDX-License-Identifier: Apache-2.0
// Says which path it saw, under php -S: as it came, as the proxy's rules saw it, as it is served.
$raw = strtok($_SERVER['REQUEST_URI'], '?');
echo json_encode([$raw, $_SERVER['HTTP_X_RULE_PATH'] ?? null,
    utf8_encode(rawurldecode($raw))]);
