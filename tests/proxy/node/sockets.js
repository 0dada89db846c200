// SPDX-License-Identifier: Apache-2.0
// node sockets.js URL COUNT: that many WebSockets at once, each sends three messages and compares
// what comes back. Exits with 0 when every one of them did.
'use strict';
let WebSocket;
try {
    WebSocket = require('ws');
} catch (error) {
    WebSocket = require('/usr/share/nodejs/ws');
}

const [url, count] = [process.argv[2], Number(process.argv[3])];
let done = 0;

function fail(text) {
    console.error(text);
    process.exit(1);
}

function one(number) {
    const socket = new WebSocket(url);
    const messages = [`hello ${number}`, Buffer.alloc(70000, number % 251), `bye ${number}`];
    let next = 0;
    socket.on('open', () => socket.send(messages[0]));
    socket.on('error', (error) => fail(`${number}: ${error.message}`));
    socket.on('message', (data) => {
        if (!Buffer.from(messages[next]).equals(data)) fail(`${number}: message ${next} differs`);
        if (++next < messages.length) socket.send(messages[next]);
        else socket.close(1000);
    });
    socket.on('close', (code) => {
        if (next !== messages.length || code !== 1000) fail(`${number}: closed early with ${code}`);
        if (++done === count) process.exit(0);
    });
}

for (let number = 0; number < count; number++) one(number);
setTimeout(() => fail(`only ${done} of ${count} in time`), 90000);
