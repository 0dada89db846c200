<?php
// The front controller: what it was told.
header('Content-Type: text/plain');
echo "front ", $_SERVER['REQUEST_URI'], "\n";
