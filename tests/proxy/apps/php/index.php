<?php
// SPDX-License-Identifier: Apache-2.0
// The ordinary application under php -S.
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
while (ob_get_level() > 0) {
    ob_end_clean();
}
if ($path === '/upload') {
    $hash = hash_init('sha256');
    $size = hash_update_stream($hash, fopen('php://input', 'r'));
    echo json_encode(['size' => $size, 'sha256' => hash_final($hash)]);
} elseif ($path === '/download') {
    $size = (int) $_GET['size'];
    header("Content-Length: $size");
    $piece = str_repeat('0123456789abcdef', 4096);
    for ($left = $size; $left > 0; $left -= strlen($piece)) {
        echo $left >= strlen($piece) ? $piece : substr($piece, 0, $left);
        flush();
    }
} elseif ($path === '/events') {
    header('Content-Type: text/event-stream');
    for ($n = 0; $n < 5; $n++) {
        echo "data: $n\n\n";
        flush();
        usleep(20000);
    }
} else {
    echo "<h1>php</h1>{$_SERVER['HTTP_X_FORWARDED_FOR']} {$_SERVER['HTTP_HOST']}";
}
