// studio
export {};
