// Geometry and tables that change the rounding mode or hash a lot: `exact MODE` runs MODE
// until it is killed. CGAL's and Boost's intervals round upwards, as RandomX does at times.
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <CGAL/Delaunay_triangulation_2.h>
#include <CGAL/Exact_predicates_exact_constructions_kernel.h>
#include <CGAL/Exact_predicates_inexact_constructions_kernel.h>
#include <CGAL/Interval_nt.h>
#include <CGAL/convex_hull_3.h>
#include <CGAL/Surface_mesh.h>
#include <boost/numeric/interval.hpp>

using Inexact = CGAL::Exact_predicates_inexact_constructions_kernel;
using Exact = CGAL::Exact_predicates_exact_constructions_kernel;

static volatile double sink;
static std::mt19937_64 engine(1);

// Triangulation of points on a grid: nearly every predicate is degenerate.
static void delaunay()
{
	CGAL::Delaunay_triangulation_2<Inexact> mesh;
	for (int n = 0; n < 40000; n++)
		mesh.insert({ double(engine() % 300), double(engine() % 300) });
	sink = mesh.number_of_faces();
}

// Intersections whose coordinates are exact: intervals first, fractions if these do not decide.
static void exact()
{
	std::vector<Exact::Line_2> lines;
	for (int n = 0; n < 150; n++)
		lines.emplace_back(Exact::Point_2(engine() % 1000, engine() % 1000), Exact::Point_2(1000 + engine() % 1000, engine() % 1000));
	int left = 0;
	for (auto &a : lines)
		for (auto &b : lines) {
			auto meet = CGAL::intersection(a, b);
			if (!meet)
				continue;
			if (const Exact::Point_2 *point = boost::get<Exact::Point_2>(&*meet))
				left += lines[0].has_on_positive_side(*point);
		}
	sink = left;
}

static void hull()
{
	std::vector<Inexact::Point_3> points;
	std::normal_distribution<double> normal;
	for (int n = 0; n < 50000; n++)
		points.emplace_back(normal(engine), normal(engine), normal(engine));
	CGAL::Surface_mesh<Inexact::Point_3> mesh;
	CGAL::convex_hull_3(points.begin(), points.end(), mesh);
	sink = mesh.number_of_faces();
}

static double width_of(const boost::numeric::interval<double> &x)
{
	return boost::numeric::width(x);
}

static double width_of(const CGAL::Interval_nt<true> &x)
{
	return x.sup() - x.inf();
}

// Newton's iteration on intervals: the bounds of a root.
template <class Interval> static void newton()
{
	for (int n = 0; n < 1 << 18; n++) {
		Interval x(1.0 + n * 1e-6, 1.5 + n * 1e-6);
		for (int step = 0; step < 8; step++)
			x = (x + Interval(2.0) / x) * Interval(0.5);
		sink = width_of(x);
	}
}

// A join of two tables by a hash of strings.
static void join()
{
	std::unordered_map<std::string, unsigned> left;
	for (unsigned n = 0; n < 200000; n++)
		left.emplace("customer " + std::to_string(engine() % 300000), n);
	unsigned long matches = 0;
	for (unsigned n = 0; n < 400000; n++)
		if (auto found = left.find("customer " + std::to_string(engine() % 300000)); found != left.end())
			matches += found->second;
	sink = matches;
}

// FNV-1a of short strings into a table with open addressing, as an interpreter interns names.
static void intern()
{
	static std::vector<std::string_view> slots;
	static const char text[] = "the quick brown fox jumps over the lazy dog and runs into the deep dark forest";
	slots.assign(1 << 16, {});
	for (int turn = 0; turn < 200; turn++)
		for (size_t from = 0; from + 12 < sizeof text; from++)
			for (size_t length = 3; length < 12; length++) {
				std::string_view word(text + from, length);
				size_t h = 14695981039346656037u;
				for (unsigned char c : word)
					h = (h ^ c) * 1099511628211u;
				for (h &= 0xffff; !slots[h].empty() && slots[h] != word; h = (h + 1) & 0xffff)
					;
				slots[h] = word;
			}
	sink = slots[7].size();
}

static const struct {
	const char *name;
	void (*step)();
} modes[] = {
	{ "delaunay", delaunay },
	{ "exact", exact },
	{ "hull", hull },
	{ "boost-interval", newton<boost::numeric::interval<double>> },
	{ "cgal-interval", newton<CGAL::Interval_nt<true>> },
	{ "join", join },
	{ "intern", intern },
};

int main(int argc, char **argv)
{
	for (auto &mode : modes)
		if (argc > 1 && !strcmp(argv[1], mode.name))
			for (;;)
				mode.step();
	fprintf(stderr, "usage: exact MODE\n");
	return 2;
}
