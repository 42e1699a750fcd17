/* The program that `spawn` executes: it does nothing. */
int main(void) { return 0; }
