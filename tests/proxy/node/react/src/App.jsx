// SPDX-License-Identifier: Apache-2.0
import { Suspense, lazy, useState } from 'react';
import { Link, Route, Routes, useParams } from 'react-router-dom';

const Late = lazy(() => import('./Late.jsx'));

function Home() {
    const [count, setCount] = useState(0);
    return (
        <main>
            <h1>first words</h1>
            <button onClick={() => setCount(count + 1)}>{count}</button>
        </main>
    );
}

function User() {
    const { name } = useParams();
    return <h1>user {name}</h1>;
}

export default function App() {
    return (
        <>
            <nav>
                <Link to="/">home</Link> <Link to="/users/ada">ada</Link> <Link to="/late">late</Link>
            </nav>
            <Suspense fallback={<p>wait</p>}>
                <Routes>
                    <Route path="/" element={<Home />} />
                    <Route path="/users/:name" element={<User />} />
                    <Route path="/late" element={<Late />} />
                    <Route path="*" element={<h1>nowhere</h1>} />
                </Routes>
            </Suspense>
        </>
    );
}
