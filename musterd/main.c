/* main.c - musterd: settings, start-up and shutdown in order. */
int main(void)
{
	return 0;
}
