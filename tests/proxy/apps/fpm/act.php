<?php
// One script for all that a program may do; ?do= says what.
switch ($_GET['do'] ?? '') {
case 'hello':
    echo 'hello';
    break;
case 'status':
    http_response_code((int)$_GET['status']);
    echo 'status';
    break;
case 'location':
    header('Location: /server.php');
    break;
case 'length':
    header('Content-Length: ' . $_GET['length']);
    echo $_GET['body'];
    break;
case 'large':
    header('Content-Type: application/octet-stream');
    for ($i = 0; $i < (int)$_GET['mib'] * 16; $i++)
        echo str_repeat('0123456789abcdef', 4096);
    break;
case 'stream':
    for ($i = 0; $i < 4; $i++) {
        echo "piece $i\n";
        flush();
        usleep(150000);
    }
    break;
case 'exit':
    echo 'before';
    exit(3);
case 'fatal':
    nothing_of_that_name();
    break;
case 'fatal_late':
    echo 'some';
    flush();
    nothing_of_that_name();
    break;
case 'log':
    error_log($_GET['text']);
    echo 'logged';
    break;
case 'logs':
    for ($i = 0; $i < 200; $i++)
        error_log("line $i " . str_repeat('x', 500));
    echo 'logged';
    break;
case 'sleep':
    usleep((int)($_GET['ms'] * 1000));
    echo 'slept';
    break;
case 'finish':
    echo 'finished';
    fastcgi_finish_request();
    usleep(300000);
    break;
case 'upload':
    header('Content-Type: application/json');
    $file = $_FILES['file'] ?? null;
    echo json_encode($file ? ['name' => $file['name'], 'size' => $file['size'], 'error' => $file['error'],
                              'sha' => hash_file('sha256', $file['tmp_name'])]
                           : ['size' => (int)($_SERVER['CONTENT_LENGTH'] ?? -1),
                              'sha' => hash_file('sha256', 'php://input')]);
    break;
case 'headers':
    header('X-One: 1');
    header('X-Two: 2', false);
    setcookie('a', '1');
    setcookie('b', '2');
    echo 'fields';
    break;
case 'accel':
    header('Content-Type: text/x-said');
    header('Content-Disposition: attachment; filename="said.txt"');
    header('X-Accel-Redirect: ' . $_GET['to']);
    setcookie('seen', '1');
    echo 'not for clients';
    break;
case 'sendfile':
    header('Content-Type: text/x-said');
    header('X-Sendfile: ' . $_GET['file']);
    break;
case 'kill':
    exec('kill -9 ' . getmypid());
    break;
case 'abort':
    ignore_user_abort(false);
    $how = 'aborted';
    register_shutdown_function(function () use (&$how) {
        file_put_contents($_GET['file'], $how);
    });
    for ($i = 0; $i < 2000; $i++) {
        echo str_repeat('x', 65536);
        flush();
        usleep(10000);
    }
    $how = 'it ran to its end';
    break;
case 'session':
    session_save_path($_GET['place']);
    session_start();
    echo $_SESSION['count'] = ($_SESSION['count'] ?? 0) + 1;
    break;
default:
    echo 'what?';
}
