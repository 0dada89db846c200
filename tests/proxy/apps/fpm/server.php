<?php
// All that PHP was told, as JSON.
header('Content-Type: application/json');
echo json_encode(['server' => $_SERVER, 'get' => $_GET, 'post' => $_POST, 'cookie' => $_COOKIE,
                  'method' => $_SERVER['REQUEST_METHOD'], 'input' => strlen(file_get_contents('php://input'))]);
