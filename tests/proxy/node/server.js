// SPDX-License-Identifier: Apache-2.0
// An ordinary application: pages, uploads, downloads, an event stream, WebSockets. Says the port it
// got on its standard output.
'use strict';
const crypto = require('crypto');
const http = require('http');

let WebSocketServer;
try {
    ({ WebSocketServer } = require('ws'));
} catch (error) {
    ({ WebSocketServer } = require('/usr/share/nodejs/ws')); // as Debian has it
}

function download(response, size) {
    const block = crypto.createHash('sha512').update('weir').digest();
    const piece = Buffer.concat(Array(1024).fill(block)); // 64 KiB
    response.setHeader('Content-Length', size);
    let left = size;
    function more() {
        while (left > 0) {
            const part = left >= piece.length ? piece : piece.subarray(0, left);
            left -= part.length;
            if (!response.write(part)) {
                response.once('drain', more);
                return;
            }
        }
        response.end();
    }
    more();
}

const server = http.createServer((request, response) => {
    const url = new URL(request.url, 'http://app');
    if (url.pathname === '/upload') {
        const hash = crypto.createHash('sha256');
        let size = 0;
        request.on('data', (data) => { size += data.length; hash.update(data); });
        request.on('end', () => response.end(JSON.stringify({ size, sha256: hash.digest('hex') })));
    } else if (url.pathname === '/download') {
        download(response, Number(url.searchParams.get('size')));
    } else if (url.pathname === '/events') {
        response.writeHead(200, { 'Content-Type': 'text/event-stream' });
        let n = 0;
        const timer = setInterval(() => {
            response.write(`data: ${n}\n\n`);
            if (++n === 5) {
                clearInterval(timer);
                response.end();
            }
        }, 20);
    } else {
        response.setHeader('Content-Type', 'text/html');
        response.end(`<h1>node</h1>${request.headers['x-forwarded-for']} ${request.headers.host}`);
    }
});
new WebSocketServer({ server, path: '/ws' }).on('connection', (socket) => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
