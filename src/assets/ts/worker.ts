// worker
export {};
