// SPDX-License-Identifier: Apache-2.0
export default function Late() {
    return <h1>came later</h1>;
}
