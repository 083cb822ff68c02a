// Random numbers of the C++ library, drawn until killed: `random mersenne|ranlux|shuffle`.
#include <algorithm>
#include <cstring>
#include <numeric>
#include <random>
#include <vector>

volatile double sink;

template <class Engine> void draw()
{
	Engine engine(1);
	std::normal_distribution<double> normal;
	for (;;)
		sink = normal(engine);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	if (!strcmp(mode, "mersenne"))
		draw<std::mt19937_64>();
	if (!strcmp(mode, "ranlux"))
		draw<std::ranlux48>();
	if (!strcmp(mode, "shuffle")) {
		std::mt19937 engine(1);
		std::vector<unsigned> deck(1 << 20);
		for (std::iota(deck.begin(), deck.end(), 0u);;) {
			std::shuffle(deck.begin(), deck.end(), engine);
			std::sort(deck.begin(), deck.end());
		}
	}
	return 2;
}
