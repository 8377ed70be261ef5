#include "engine/include/leat/runner.h"
