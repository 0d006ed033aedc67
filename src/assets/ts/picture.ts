// picture
export {};
