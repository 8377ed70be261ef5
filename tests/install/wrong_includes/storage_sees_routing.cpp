#include "leat/router.h"
