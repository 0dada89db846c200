// SPDX-License-Identifier: Apache-2.0
// Says which path it saw: as it came, as the proxy's rules saw it, as it is served. Says the port it
// got on its standard output.
'use strict';
const http = require('http');

const server = http.createServer((request, response) => {
    const pathname = new URL(request.url, 'http://app').pathname;
    response.end(JSON.stringify([request.url.split('?')[0], request.headers['x-rule-path'],
        pathname.replace(/%([0-9A-Fa-f]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)))]));
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
